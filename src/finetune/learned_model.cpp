#include "finetune/learned_model.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "base/fail.h"

namespace vernier {

namespace {

constexpr double kSmallestScale = 1e-8;
/// Scales are an order of magnitude smaller than weights, and one stands for a whole segment.
constexpr double kScaleRate = 0.1;

std::string scale_name(const TensorId& id) { return name_of(id) + ".scale"; }

}  // namespace

const at::Tensor& tensor_of(const std::map<std::string, at::Tensor>& tensors, const std::string& name,
                            const std::string& origin) {
  const auto found = tensors.find(name);
  if (found == tensors.end()) fail(ErrorKind::kBadFile, "{}: no {}; delete the checkpoint to begin anew", origin, name);
  return found->second;
}

LearnedModel::LearnedModel(const Model& source, const Model& start, const std::map<TensorId, Scheme>& schemes,
                           const std::map<TensorId, std::vector<float>>& importances, const Options& options)
    : source_(source), options_(options) {
  for (const TensorId& id : source.tensors()) {
    Entry entry{.id = id, .latent = {}, .matrix = {}, .learns = !options_.held.contains(id), .band = {}};
    entry.latent = start.weight(id).detach().to(options.device, at::kFloat, false, /*copy=*/true).contiguous();
    if (const auto scheme = schemes.find(id); scheme != schemes.end()) {
      const auto known = importances.find(id);
      entry.matrix.emplace(scheme->second, entry.latent.size(0), entry.latent.size(1),
                           known == importances.end() ? std::vector<float>() : known->second, options.device,
                           options.learn_scales && entry.learns);
      const StoredMatrix* stored = start.stored(id);
      if (stored != nullptr && stored->scheme() == scheme->second) {
        entry.latent = entry.matrix->begin(*stored, source.weight(id));
        entry.fitted = true;
      }
    }
    if (entry.learns && options_.singular_band >= 0 && is_matrix(id.role))
      entry.band.emplace(entry.latent, options_.singular_band);
    else
      entry.latent.set_requires_grad(entry.learns);
    entries_.push_back(std::move(entry));
  }
}

void LearnedModel::begin(int threads) {
  for (Entry& entry : entries_) {
    if (!entry.matrix || entry.fitted) continue;
    entry.matrix->fit(entry.values().detach(), threads);
    entry.fitted = true;
  }
}

void LearnedModel::fit(int threads) {
  for (Entry& entry : entries_) {
    if (!entry.matrix || (entry.fitted && !entry.learns)) continue;
    const at::Tensor values = entry.values().detach();
    if (!at::isfinite(values).all().item<bool>())
      fail(ErrorKind::kInvalidArgument, "finetune: {}: a weight is not finite; lower the learning rate",
           name_of(entry.id));
    entry.matrix->fit(values, threads);
    entry.fitted = true;
  }
}

void LearnedModel::recode(int threads) {
  for (Entry& entry : entries_)
    if (entry.matrix && entry.learns) entry.matrix->recode(entry.values().detach(), threads);
}

void LearnedModel::bound_scales() {
  const c10::NoGradGuard no_grad;
  for (const Entry& entry : entries_)
    if (entry.matrix && entry.matrix->learned_scale().defined())
      entry.matrix->learned_scale().detach().clamp_min_(kSmallestScale);
}

Model LearnedModel::seen(const std::function<bool(size_t)>& dropped) const {
  Model model(source_.config(), source_.source());
  for (size_t e = 0; e < entries_.size(); ++e) {
    const Entry& entry = entries_[e];
    model.set_weight(entry.id,
                     entry.matrix ? entry.matrix->seen(entry.values(), dropped && dropped(e)) : entry.values());
  }
  return model;
}

std::vector<AdamWParameter> LearnedModel::parameters() const {
  std::vector<AdamWParameter> all;
  for (const Entry& entry : entries_)
    if (entry.learns) all.push_back({entry.leaf(), 1, is_matrix(entry.id.role) ? options_.weight_decay : 0});
  for (const Entry& entry : entries_)
    if (entry.matrix && entry.matrix->learned_scale().defined())
      all.push_back({entry.matrix->learned_scale(), kScaleRate, 0});
  return all;
}

std::vector<std::string> LearnedModel::names() const {
  std::vector<std::string> all;
  for (const Entry& entry : entries_)
    if (entry.learns) all.push_back(name_of(entry.id));
  for (const Entry& entry : entries_)
    if (entry.matrix && entry.matrix->learned_scale().defined()) all.push_back(scale_name(entry.id));
  return all;
}

KeptWeights LearnedModel::keep(int threads) const {
  const c10::NoGradGuard no_grad;
  KeptWeights kept;
  for (const Entry& entry : entries_)
    kept[entry.id] = entry.matrix ? entry.matrix->stored(entry.values(), threads).bytes()
                                  : entry.values().detach().to(at::kCPU, at::kFloat, false, /*copy=*/true);
  return kept;
}

Model LearnedModel::model_of(const KeptWeights& kept) const {
  Model model(source_.config(), source_.source());
  for (const Entry& entry : entries_) {
    const at::Tensor& weight = kept.at(entry.id);
    if (entry.matrix) {
      const Scheme& scheme = entry.matrix->scheme();
      const int64_t rows = entry.latent.size(0);
      model.set_stored(
          entry.id, {scheme, {rows, entry.latent.size(1)}, weight.reshape({scheme.rows_in_sequence() ? rows : 1, -1})});
    } else {
      model.set_weight(entry.id, weight);
    }
  }
  return model;
}

std::map<std::string, at::Tensor> LearnedModel::state() const {
  std::map<std::string, at::Tensor> all;
  for (const Entry& entry : entries_) {
    const std::string name = name_of(entry.id);
    all["weight." + name] = entry.leaf().detach();
    if (!entry.matrix) continue;
    all["fitted." + name] = entry.matrix->fitted();
    if (entry.matrix->learned_scale().defined())
      all["weight." + scale_name(entry.id)] = entry.matrix->learned_scale().detach();
  }
  return all;
}

void LearnedModel::restore(const std::map<std::string, at::Tensor>& state, const std::string& origin) {
  const c10::NoGradGuard no_grad;
  for (Entry& entry : entries_) {
    const std::string name = name_of(entry.id);
    const at::Tensor& weight = tensor_of(state, "weight." + name, origin);
    if (weight.sizes() != entry.leaf().sizes()) fail(ErrorKind::kBadFile, "{}: {} is of another shape", origin, name);
    entry.leaf().detach().copy_(weight);
    if (!entry.matrix) continue;
    entry.fitted = true;
    entry.matrix->restore(tensor_of(state, "fitted." + name, origin),
                          options_.learn_scales && state.contains("weight." + scale_name(entry.id))
                              ? state.at("weight." + scale_name(entry.id))
                              : at::Tensor());
  }
}

}  // namespace vernier
