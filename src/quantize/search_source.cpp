#include "quantize/search_source.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <functional>

#include "model/requantize.h"
#include "ops/nested_for.h"
#include "quantize/corrected_bias.h"
#include "quantize/fold.h"
#include "quantize/guard.h"
#include "quantize/search_memory.h"
#include "vernier/quantize_tensor.h"

namespace vernier {

namespace {

constexpr TensorId kEmbeddingId{TensorRole::kTokenEmbedding, -1};

std::vector<std::byte> stored_bytes_of(const StoredMatrix& stored) {
  const at::Tensor bytes = stored.bytes();
  const auto* first = static_cast<const std::byte*>(bytes.data_ptr());
  return {first, first + bytes.numel()};
}

}  // namespace

SearchSource::SearchSource(const Model& model, const Calibration& calibration, const ValueSearch& search,
                           const std::map<TensorId, Scheme>& schemes, int threads)
    : model_(model), calibration_(calibration), search_(search), schemes_(schemes), threads_(threads) {
  if (search.needs == ValueSearch::Needs::kGram) pass_ = std::make_unique<GramPass>(model, calibration, threads);
}

void SearchSource::enter(int layer) {
  if (layer == layer_) return;
  layer_ = -1;
  searched_ = false;
  found_.clear();
  scales_.clear();
  grams_.clear();
  biases_.clear();
  outputs_.clear();
  row_scales_.clear();
  folded_.emplace(model_);
  if (search_.folding != ValueSearch::Folding::kNone) fold(layer);
  layer_ = layer;
}

void SearchSource::fold(int layer) {
  struct Choice {
    FoldSite fold;
    const InputGrams& grams;
    const ChannelStatistics& statistics;
    at::Tensor scales;
  };
  std::vector<Choice> choices;
  for (FoldSite& fold : fold_sites(model_, layer)) {
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
    choices.push_back({std::move(fold), *grams, statistics->second, {}});
  }
  // Before any is taken up: a fold changes columns that it alone reads, and rows of matrices whose own site comes earlier.
  nested_for(std::ssize(choices), threads_, [&](int64_t i) {
    const c10::NoGradGuard no_grad;
    Choice& own = choices[static_cast<size_t>(i)];
    own.scales = choose_scales(search_.folding, {*folded_, own.fold, schemes_, own.grams, own.statistics, threads_});
  });
  for (const auto& [fold, grams, statistics, scales] : choices) {
    if (!scales.defined()) continue;
    apply_fold(*folded_, fold, scales);
    scales_[fold.site] = scales;
    for (const TensorId& id : fold.producers)
      if (is_matrix(id.role)) row_scales_[id] = row_scales(fold, scales);
    for (const at::Tensor& gram : grams.parts)
      grams_[fold.site].parts.push_back(gram.defined() ? folded_gram(gram, scales) : gram);
    for (const at::Tensor& mean : grams.means) grams_[fold.site].means.push_back(mean.defined() ? mean / scales : mean);
  }
}

at::Tensor SearchSource::weight(const TensorId& id) {
  if (pass_ == nullptr || id.layer < 0) return model_.weight(id);
  if (const Model* made = learned_up_to(id.layer)) return made->weight(id);
  return searched_weight(id);
}

at::Tensor SearchSource::searched_weight(const TensorId& id) {
  enter(id.layer);
  if (search_.corrects_biases && !is_matrix(id.role)) {
    const auto adds_to_searched = [&](const auto& planned) {
      const auto& [matrix, scheme] = planned;
      const std::optional<TensorRole> role = bias_of(matrix.role);
      if (!role) return false;
      TensorId bias = matrix;
      bias.role = *role;
      return bias == id && !keeps_stored(model_, matrix, scheme);
    };
    if (std::ranges::any_of(schemes_, adds_to_searched)) search_layer();
  }
  const auto corrected = biases_.find(id);
  return corrected != biases_.end() ? corrected->second : folded_->weight(id);
}

std::vector<std::byte> SearchSource::search(const TensorId& id) {
  if (pass_ != nullptr && id.layer >= 0) {
    if (const Model* made = learned_up_to(id.layer)) return stored_bytes_of(*made->stored(id));
    enter(id.layer);
    search_layer();
    return found_.at(id);
  }
  if (!embedding_.empty() && id == kEmbeddingId) return embedding_;
  Found found = search_matrix(wanted(id));
  if (found.left) left_[id] = *found.left;
  return std::move(found.bytes);
}

const Model* SearchSource::learned_up_to(int layer) {
  if (!search_.learns) return nullptr;
  if (learned_ == nullptr) {
    const Scheme& scheme = schemes_.at(kEmbeddingId);
    at::Tensor embedding = model_.weight(kEmbeddingId).detach().to(at::kFloat);
    if (!keeps_stored(model_, kEmbeddingId, scheme)) {
      embedding_ = search_matrix(wanted(kEmbeddingId)).bytes;
      embedding = StoredMatrix(scheme, {embedding.size(0), embedding.size(1)}, embedding_).values();
    }
    learned_ = std::make_unique<LearnedLayers>(model_, calibration_.text, parts_of(calibration_.text), embedding,
                                               *search_.learns, threads_);
  }
  while (learned_->count() <= layer) learn_next();
  return &learned_->made();
}

void SearchSource::learn_next() {
  const int layer = learned_->count();
  enter(layer);
  search_layer();
  LayerCandidate rounded, found;
  std::vector<LearnedMatrix> learning;
  std::vector<TensorId> others;
  for (const TensorId& id : model_.tensors()) {
    if (id.layer != layer) continue;
    const auto scheme = schemes_.find(id);
    if (scheme == schemes_.end()) {
      others.push_back(id);
    } else if (!keeps_stored(model_, id, scheme->second)) {
      const at::Tensor weight = folded_->weight(id).detach().to(at::kFloat);
      const std::array<int64_t, 2> shape{weight.size(0), weight.size(1)};
      const StoredMatrix stored(scheme->second, shape, found_.at(id));
      found.stored.emplace(id, stored);
      rounded.stored.emplace(
          id, StoredMatrix(scheme->second, shape,
                           quantize_bytes(scheme->second, model_.weight(id), {}, threads_, name_of(id))));
      if (!scheme->second.held_by(Container::kPlainTensors)) learning.push_back({id, weight, stored, importance(id)});
    }
  }
  for (const TensorId& id : others) {  // with biases that searching the matrices corrected
    found.plain[id] = searched_weight(id);
    rounded.plain[id] = model_.weight(id);
  }
  const InputGrams leaving = gradients().leaving(layer);
  learned_->add(rounded, found, learning, layer_metric(mean_gram(leaving, parts_with_tokens(leaving))));
}

std::vector<float> SearchSource::importance(const TensorId& id) const {
  std::vector<float> importance = calibration_.importance(model_, id);
  const std::optional<SiteId> site = model_.blueprint().at(id).input;
  if (const auto scales = site ? scales_.find(*site) : scales_.end(); scales != scales_.end()) {
    const float* s = scales->second.data_ptr<float>();
    for (size_t c = 0; c < importance.size(); ++c) importance[c] /= s[c] * s[c];
  }
  return importance;
}

GradientPass& SearchSource::gradients() {
  if (gradients_ == nullptr)
    gradients_ = std::make_unique<GradientPass>(model_, calibration_.text, parts_of(calibration_.text), threads_);
  return *gradients_;
}

const InputGrams* SearchSource::vocabulary_grams_of(const TensorId& id) {
  const TensorId output = model_.output_matrix();
  if (pass_ == nullptr || !model_.config().is_language_model() || (id != kEmbeddingId && id != output)) return nullptr;
  if (schemes_.at(id).held_by(Container::kPlainTensors)) return nullptr;  // which searches have no use for them
  const auto [place, is_new] = vocabulary_.try_emplace(id);
  if (is_new)
    place->second = output == kEmbeddingId ? gradients().tied()
                    : id == output         ? gradients().output()
                                           : gradients().look_up();
  return &place->second;
}

const InputGrams* SearchSource::output_grams_of(const TensorId& id) {
  if (!search_.uses_outputs || !model_.config().is_language_model()) return nullptr;  // gradients are of next tokens
  if (schemes_.at(id).held_by(Container::kPlainTensors)) return nullptr;
  const auto [place, is_new] = outputs_.try_emplace(id);
  if (!is_new) return &place->second;
  const std::map<TensorId, InputGrams>& layer = gradients().at(id.layer);
  const auto found = layer.find(id);
  if (found == layer.end()) return &place->second;
  place->second = found->second;
  // What comes out is divided by the scales, so that its gradients are multiplied.
  if (const auto scales = row_scales_.find(id); scales != row_scales_.end())
    for (at::Tensor& gram : place->second.parts)
      if (gram.defined()) gram = gram * scales->second.unsqueeze(0) * scales->second.unsqueeze(1);
  return &place->second;
}

SearchSource::Wanted SearchSource::wanted(const TensorId& id) {
  const bool in_layer = pass_ != nullptr && id.layer >= 0;
  const std::optional<SiteId> site = model_.blueprint().at(id).input;
  const InputGrams* grams = in_layer ? (site ? pass_->at(*site) : nullptr) : vocabulary_grams_of(id);
  if (in_layer && site && scales_.contains(*site)) grams = &grams_.at(*site);
  return {id, grams, in_layer ? output_grams_of(id) : nullptr};
}

SearchSource::Found SearchSource::search_matrix(const Wanted& wanted) const {
  const TensorId& id = wanted.id;
  const bool in_layer = pass_ != nullptr && id.layer >= 0;
  const at::Tensor values = in_layer ? folded_->weight(id) : model_.weight(id);
  const std::vector<float> mean_squares = importance(id);
  Found found;
  SearchedValues searched = search_.run({schemes_.at(id), values, mean_squares, threads_, name_of(id), wanted.grams,
                                         wanted.output_grams, model_.config().is_language_model()});
  if (!searched.held_out.empty()) found.left = left_of_rounding(wanted, searched.held_out);
  found.bytes = std::move(searched.bytes);
  TensorId bias = id;
  if (const std::optional<TensorRole> role = bias_of(id.role); search_.corrects_biases && in_layer &&
                                                               wanted.grams != nullptr && role &&
                                                               (bias.role = *role, folded_->has(bias))) {
    const at::Tensor error =
        StoredMatrix(schemes_.at(id), {values.size(0), values.size(1)}, found.bytes).values() - values.to(at::kFloat);
    found.bias = corrected_bias(folded_->weight(bias).detach().to(at::kFloat), error, *wanted.grams);
  }
  return found;
}

double SearchSource::left_of_rounding(const Wanted& wanted, const std::vector<double>& held_out) const {
  const TensorId& id = wanted.id;
  const at::Tensor weight = model_.weight(id).detach().to(at::kFloat);
  at::Tensor error =
      quantize_values(schemes_.at(id), weight, calibration_.importance(model_, id), threads_, name_of(id)) - weight;
  // By what enters and leaves the folded matrix, as the search's own error is.
  const std::optional<SiteId> site = model_.blueprint().at(id).input;
  if (const auto scales = site ? scales_.find(*site) : scales_.end(); scales != scales_.end())
    error.mul_(scales->second);
  if (const auto scales = row_scales_.find(id); scales != row_scales_.end()) error.div_(scales->second.unsqueeze(1));
  const InputGrams* outputs = outputs_of_all_parts(*wanted.grams, wanted.output_grams);
  double left = 0, rounding = 0;
  for (const size_t part : parts_with_tokens(*wanted.grams)) {
    left += held_out[part];
    rounding += output_error(error, wanted.grams->parts[part], outputs ? outputs->parts[part] : at::Tensor());
  }
  return rounding > 0 ? left / rounding : 1;
}

void SearchSource::search_layer() {
  if (searched_) return;
  std::vector<Wanted> all;
  int64_t bytes = 0;
  for (const auto& [id, scheme] : schemes_) {
    if (id.layer != layer_ || keeps_stored(model_, id, scheme)) continue;
    all.push_back(wanted(id));
    const std::vector<int64_t> shape = model_.shape(id);
    bytes = std::max(bytes, search_bytes(shape[0], shape[1], all.back().output_grams != nullptr));
  }
  const auto weights = [&](const Wanted& one) { return c10::multiply_integers(model_.shape(one.id)); };
  // What takes longest is not begun last.
  std::ranges::stable_sort(all, std::ranges::greater(), weights);
  std::vector<Found> found(all.size());
  nested_for(
      std::ssize(all), threads_,
      [&](int64_t i) {
        const c10::NoGradGuard no_grad;
        found[static_cast<size_t>(i)] = search_matrix(all[static_cast<size_t>(i)]);
      },
      bytes);
  for (size_t i = 0; i < all.size(); ++i) {
    TensorId bias = all[i].id;
    if (found[i].bias.defined()) bias.role = *bias_of(bias.role), biases_[bias] = found[i].bias;
    if (found[i].left) left_[all[i].id] = *found[i].left;
    found_[all[i].id] = std::move(found[i].bytes);
  }
  searched_ = true;
}

}  // namespace vernier
