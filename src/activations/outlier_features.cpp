#include "activations/outlier_features.h"

#include <algorithm>

namespace vernier {

namespace {

constexpr double kLeastLayers = 0.25, kLeastTokens = 0.06;

void add_features_of(Site site, const std::map<SiteId, ActivationSums>& sums,
                     const std::map<SiteId, SiteFigures>& figures, int depth, std::vector<OutlierFeature>& features) {
  std::vector<std::pair<const ActivationSums*, const SiteFigures*>> layers;
  size_t channels = 0;
  for (const auto& [id, own] : sums) {
    if (id.site != site || id.layer < 0) continue;
    if (channels > 0 && own.largest.size() != channels) return;  // the same index is not the same feature
    channels = own.largest.size();
    layers.emplace_back(&own, &figures.at(id));
  }
  for (size_t j = 0; j < channels; ++j) {
    OutlierFeature feature{site, static_cast<int64_t>(j)};
    double rows = 0, outlier_rows = 0;
    int with = 0;
    for (const auto& [own, shown] : layers) {
      rows += static_cast<double>(own->rows);
      outlier_rows += static_cast<double>(own->outlier_rows[j]);
      with += own->largest[j] >= kOutlier ? 1 : 0;
      feature.abs_max = std::max(feature.abs_max, own->largest[j]);
      if (shown->median_abs > 0)
        feature.ratio_to_median = std::max(feature.ratio_to_median, own->largest[j] / shown->median_abs);
    }
    feature.layer_share = static_cast<double>(with) / depth;
    feature.token_share = outlier_rows / rows;
    if (feature.layer_share >= kLeastLayers && feature.token_share >= kLeastTokens) features.push_back(feature);
  }
}

}  // namespace

std::vector<OutlierFeature> outlier_features(const std::map<SiteId, ActivationSums>& sums,
                                             const std::map<SiteId, SiteFigures>& figures, int depth) {
  std::vector<OutlierFeature> features;
  for (const Site site :
       {Site::kAttnInput, Site::kAttnOutputInput, Site::kFfnInput, Site::kFfnDownInput, Site::kResidual})
    add_features_of(site, sums, figures, depth, features);
  std::stable_sort(features.begin(), features.end(),
                   [](const OutlierFeature& a, const OutlierFeature& b) { return a.token_share > b.token_share; });
  return features;
}

}  // namespace vernier
