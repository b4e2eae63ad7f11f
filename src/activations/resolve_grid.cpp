#include "activations/resolve_grid.h"

#include <algorithm>

#include "activations/range_calibrators.h"

namespace vernier {

namespace {

constexpr Site kRoundedSites[] = {Site::kAttnInput, Site::kAttnOutputInput, Site::kFfnInput, Site::kFfnDownInput,
                                  Site::kSharedDownInput};

/// One, or one a channel; none of a dynamic grid.
std::vector<float> ranges_at(const SiteId& id, const ActivationGrid& grid, const WatchedFacts& watched) {
  if (!grid.is_static()) return {};
  SiteId site = id;
  site.expert = -1;
  if (watched.linear.count(site) == 0) return {};  // of experts that the text never reached
  if (grid.span == ActivationGrid::Span::kChannel) return watched.channels.at(site);
  return {static_range(grid.range, grid.bits, watched.linear.at(site), watched.facts.sites.at(site).p99_99)};
}

}  // namespace

std::vector<Site> rounded_sites_of(const Model& model) {
  std::vector<Site> sites;
  for (const Site site : kRoundedSites) {
    const auto& tensors = model.blueprint().tensors();
    if (std::any_of(tensors.begin(), tensors.end(),
                    [&](const TensorSpec& tensor) { return tensor.input && tensor.input->site == site; }))
      sites.push_back(site);
  }
  return sites;
}

RoundedSites resolve_grid(const Model& model, const ActivationGrid& grid, const std::vector<Site>& kinds,
                          const WatchedFacts& watched) {
  RoundedSites rounded;
  std::map<SiteId, std::vector<float>> found;  // of a layer's experts once
  for (const TensorSpec& tensor : model.blueprint().tensors()) {
    if (!tensor.input || std::find(kinds.begin(), kinds.end(), tensor.input->site) == kinds.end()) continue;
    if (rounded.inputs.count(*tensor.input) > 0) continue;
    SiteId shared = *tensor.input;
    shared.expert = -1;
    const auto [ranges, is_new] = found.try_emplace(shared);
    if (is_new) ranges->second = ranges_at(shared, grid, watched);
    rounded.inputs[*tensor.input] = rounded.inputs[shared] = {grid.bits, grid.span, ranges->second};
  }
  return rounded;
}

RoundedSites round_sites(const Model& model, const ActivationGrid& grid, const std::vector<Site>& kinds,
                         const EvaluationData& calibration, const ComputeOptions& compute, ProgressSink* progress) {
  return resolve_grid(
      model, grid, kinds,
      grid.is_static() ? watch_facts(model, *windows_of_text(calibration), compute, progress) : WatchedFacts());
}

}  // namespace vernier
