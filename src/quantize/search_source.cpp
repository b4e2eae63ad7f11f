#include "quantize/search_source.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "model/requantize.h"
#include "quantize/corrected_bias.h"
#include "quantize/fold.h"

namespace vernier {

SearchSource::SearchSource(const Model& model, const Calibration& calibration, const ValueSearch& search,
                           const std::map<TensorId, Scheme>& schemes, int threads)
    : model_(model), calibration_(calibration), search_(search), schemes_(schemes), threads_(threads) {
  if (search.needs == ValueSearch::Needs::kGram) pass_ = std::make_unique<GramPass>(model, calibration, threads);
}

void SearchSource::enter(int layer) {
  if (layer == layer_) return;
  layer_ = -1;
  scales_.clear();
  grams_.clear();
  biases_.clear();
  folded_.emplace(model_);
  if (search_.folding != ValueSearch::Folding::kNone) fold(layer);
  layer_ = layer;
}

void SearchSource::fold(int layer) {
  for (const FoldSite& fold : fold_sites(model_, layer)) {
    // What is kept as it is stored has no scales to take up.
    const auto kept = [&](const TensorId& id) {
      const auto scheme = schemes_.find(id);
      return scheme != schemes_.end() && keeps_stored(model_, id, scheme->second);
    };
    if (fold.producers.empty() || std::ranges::any_of(fold.consumers, kept) ||
        std::ranges::any_of(fold.producers, kept))
      continue;
    const InputGrams* grams = pass_->at(fold.site);
    const auto statistics = calibration_.sites.find(fold.site);
    if (grams == nullptr || statistics == calibration_.sites.end()) continue;
    const at::Tensor scales =
        choose_scales(search_.folding, {*folded_, fold, schemes_, *grams, statistics->second, threads_});
    if (!scales.defined()) continue;
    apply_fold(*folded_, fold, scales);
    scales_[fold.site] = scales;
    for (const at::Tensor& gram : grams->parts)
      grams_[fold.site].parts.push_back(gram.defined() ? folded_gram(gram, scales) : gram);
    for (const at::Tensor& mean : grams->means)
      grams_[fold.site].means.push_back(mean.defined() ? mean / scales : mean);
  }
}

at::Tensor SearchSource::weight(const TensorId& id) {
  if (pass_ == nullptr || id.layer < 0) return model_.weight(id);
  enter(id.layer);
  if (search_.corrects_biases && !is_matrix(id.role) && !biases_.contains(id))
    for (const auto& [matrix, scheme] : schemes_) {
      TensorId bias = matrix;
      const std::optional<TensorRole> role = bias_of(matrix.role);
      if (!role) continue;
      bias.role = *role;
      if (bias == id && !keeps_stored(model_, matrix, scheme)) search_matrix(matrix);
    }
  const auto corrected = biases_.find(id);
  return corrected != biases_.end() ? corrected->second : folded_->weight(id);
}

std::vector<std::byte> SearchSource::search(const TensorId& id) {
  if (pass_ != nullptr && id.layer >= 0) enter(id.layer);
  return search_matrix(id);
}

std::vector<std::byte> SearchSource::search_matrix(const TensorId& id) {
  const bool in_layer = pass_ != nullptr && id.layer >= 0;
  const at::Tensor values = in_layer ? folded_->weight(id) : model_.weight(id);
  std::vector<float> importance = calibration_.importance(model_, id);
  const std::optional<SiteId> site = model_.blueprint().at(id).input;
  const InputGrams* grams = site && in_layer ? pass_->at(*site) : nullptr;
  if (const auto scales = site ? scales_.find(*site) : scales_.end(); in_layer && scales != scales_.end()) {
    grams = &grams_.at(*site);
    const float* s = scales->second.data_ptr<float>();
    for (size_t c = 0; c < importance.size(); ++c) importance[c] /= s[c] * s[c];
  }
  std::vector<std::byte> bytes = search_.run({schemes_.at(id), values, importance, threads_, name_of(id), grams});
  TensorId bias = id;
  if (const std::optional<TensorRole> role = bias_of(id.role);
      search_.corrects_biases && grams != nullptr && role && (bias.role = *role, folded_->has(bias))) {
    const at::Tensor error =
        StoredMatrix(schemes_.at(id), {values.size(0), values.size(1)}, bytes).values() - values.to(at::kFloat);
    biases_[bias] = corrected_bias(folded_->weight(bias).detach().to(at::kFloat), error, *grams);
  }
  return bytes;
}

}  // namespace vernier
