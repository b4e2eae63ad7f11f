#include "finetune/learned_model.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include "base/fail.h"
#include "finetune/checkpoint_file.h"

namespace vernier {

namespace {

std::string leaf_name(const TensorId& id, const LearnedLeaf& leaf) { return name_of(id) + "." + leaf.name; }

}  // namespace

LearnedModel::LearnedModel(const Model& source, const Model& start, const std::map<TensorId, Scheme>& schemes,
                           const std::map<TensorId, std::vector<float>>& importances, const Options& options)
    : source_(source), options_(options) {
  const auto is_stored = [&](const TensorId& id, const Scheme& scheme) {
    const StoredMatrix* stored = start.stored(id);
    return stored != nullptr && stored->scheme() == scheme;
  };
  std::map<std::string, std::vector<TensorId>> stacks;  // of what can be rounded at once
  std::map<TensorId, std::string> stack_of_id;
  for (const TensorId& id : source.tensors()) {
    const auto scheme = schemes.find(id);
    if (scheme == schemes.end()) continue;
    const std::vector<int64_t> shape = source.weight(id).sizes().vec();
    std::string key = name_of(id);
    if (options_.stacked && options_.singular_band < 0 &&
        TrainedMatrix::can_be_stacked(scheme->second, shape[0], shape[1]))
      key = fmt::format("{} of {} columns {} {}", scheme->second.name(), shape[1], options_.held.contains(id),
                        is_stored(id, scheme->second));
    stacks[key].push_back(id);
    stack_of_id[id] = key;
  }
  for (const TensorId& id : source.tensors()) {
    if (const auto key = stack_of_id.find(id); key != stack_of_id.end()) {
      const std::vector<TensorId>& ids = stacks.at(key->second);
      if (ids.front() == id) stack(ids, schemes.at(id), start, importances);
      continue;
    }
    Entry entry{.id = id, .latent = {}, .matrix = {}, .learns = !options_.held.contains(id), .band = {}};
    entry.latent = start.weight(id).detach().to(options.device, at::kFloat, false, /*copy=*/true).contiguous();
    entry.members = {{id, entry.latent.dim() > 0 ? entry.latent.size(0) : 1}};
    if (entry.learns && options_.singular_band >= 0 && is_matrix(id.role))
      entry.band.emplace(entry.latent, options_.singular_band);
    else
      entry.latent.set_requires_grad(entry.learns);
    entries_.push_back(std::move(entry));
  }
}

void LearnedModel::stack(const std::vector<TensorId>& ids, const Scheme& scheme, const Model& start,
                         const std::map<TensorId, std::vector<float>>& importances) {
  const TensorId& first = ids.front();
  Entry entry{.id = first, .latent = {}, .matrix = {}, .learns = !options_.held.contains(first), .band = {}};
  std::vector<TrainedMatrix::Rows> parts;
  std::vector<at::Tensor> weights, begun, bytes;
  for (const TensorId& id : ids) {
    const auto known = importances.find(id);
    weights.push_back(source_.weight(id).detach().to(options_.device, at::kFloat));
    begun.push_back(start.weight(id).detach().to(options_.device, at::kFloat));
    parts.push_back({begun.back().size(0), known == importances.end() ? std::vector<float>() : known->second});
    entry.members.push_back({id, parts.back().count});
    const StoredMatrix* stored = start.stored(id);
    if (stored == nullptr || stored->scheme() != scheme) continue;
    bytes.push_back(ids.size() == 1 ? stored->bytes() : stored->bytes().reshape({parts.back().count, -1}));
  }
  const int64_t cols = begun.front().size(1);
  entry.matrix.emplace(scheme, parts, cols, options_.device, entry.learns ? options_.scales : ScalesLearn::kNot);
  entry.latent = at::cat(begun, 0);
  if (bytes.size() == ids.size()) {
    const StoredMatrix stored(scheme, {entry.latent.size(0), cols}, bytes.size() == 1 ? bytes[0] : at::cat(bytes, 0));
    entry.latent = entry.matrix->begin(stored, at::cat(weights, 0), options_.threads);
    entry.fitted = true;
  }
  if (entry.learns && options_.singular_band >= 0)
    entry.band.emplace(entry.latent, options_.singular_band);
  else
    entry.latent.set_requires_grad(entry.learns);
  entries_.push_back(std::move(entry));
}

void LearnedModel::begin(int threads) {
  for (Entry& entry : entries_) {
    if (!entry.matrix || entry.fitted) continue;
    entry.matrix->fit(entry.values().detach(), threads);
    if (entry.matrix->learns_places()) entry.latent.detach().copy_(entry.matrix->latent_of(entry.latent.detach()));
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

void LearnedModel::settle(double dampening) {
  for (Entry& entry : entries_) {
    if (entry.steps() != nullptr) entry.steps()->bound();
    if (!entry.matrix || !entry.learns || entry.band) continue;
    entry.matrix->bound(entry.latent);
    if (dampening > 0) entry.matrix->dampen(entry.latent, dampening);
  }
}

Model LearnedModel::seen(const std::function<bool(size_t)>& dropped) const {
  Model model(source_.config(), source_.source());
  for (size_t e = 0; e < entries_.size(); ++e) {
    const Entry& entry = entries_[e];
    const at::Tensor values = entry.matrix ? entry.matrix->seen(entry.values(), dropped && dropped(e)) : entry.values();
    if (entry.members.size() == 1) {
      model.set_weight(entry.id, values);
      continue;
    }
    std::vector<int64_t> rows;
    for (const Member& member : entry.members) rows.push_back(member.rows);
    const std::vector<at::Tensor> parts = values.split_with_sizes(rows, 0);
    for (size_t m = 0; m < parts.size(); ++m) model.set_weight(entry.members[m].id, parts[m]);
  }
  return model;
}

double LearnedModel::rate_of(const LearnedLeaf& leaf, double width) const {
  return options_.scales == ScalesLearn::kInPlace ? options_.scale_rate * leaf.size : leaf.rate * width;
}

at::Tensor LearnedModel::relative_widths(const Entry& entry) const {
  if (!options_.rates_by_level || !entry.matrix || entry.band) return {};
  const double mean = entry.matrix->latent_width();
  return mean > 0 ? entry.matrix->level_widths(entry.latent).div_(mean) : at::Tensor();
}

std::vector<AdamWParameter> LearnedModel::parameters() const {
  std::vector<double> widths(entries_.size(), 0.0);
  double sum = 0, count = 0;
  for (size_t e = 0; options_.rates_by_level && e < entries_.size(); ++e) {
    if (entries_[e].matrix) widths[e] = entries_[e].matrix->level_width();
    sum += widths[e];
    count += widths[e] > 0;
  }
  const double mean = count > 0 ? sum / count : 1;
  for (double& width : widths) width = width > 0 ? width : mean;
  std::vector<AdamWParameter> all;
  for (size_t e = 0; e < entries_.size(); ++e)
    if (const Entry& entry = entries_[e]; entry.learns)
      all.push_back({entry.leaf(),
                     entry.matrix && entry.matrix->learns_places() ? entry.matrix->latent_width() : widths[e],
                     is_matrix(entry.id.role) ? options_.weight_decay : 0, relative_widths(entry)});
  for (size_t e = 0; e < entries_.size(); ++e)
    if (const LearnedSteps* steps = entries_[e].steps(); steps != nullptr)
      for (const LearnedLeaf& leaf : steps->leaves()) all.push_back({leaf.value, rate_of(leaf, widths[e]), 0});
  return all;
}

std::vector<std::string> LearnedModel::names() const {
  std::vector<std::string> all;
  for (const Entry& entry : entries_)
    if (entry.learns) all.push_back(name_of(entry.id));
  for (const Entry& entry : entries_)
    if (entry.steps() != nullptr)
      for (const LearnedLeaf& leaf : entry.steps()->leaves()) all.push_back(leaf_name(entry.id, leaf));
  return all;
}

KeptWeights LearnedModel::keep(int threads) const {
  const c10::NoGradGuard no_grad;
  KeptWeights kept;
  for (const Entry& entry : entries_) {
    if (!entry.matrix) {
      kept[entry.id] = entry.values().detach().to(at::kCPU, at::kFloat, false, /*copy=*/true);
      continue;
    }
    const at::Tensor bytes = entry.matrix->stored(entry.values(), threads).bytes();
    int64_t row = 0;
    for (const Member& member : entry.members) {
      kept[member.id] = entry.members.size() == 1 ? bytes : bytes.narrow(0, row, member.rows).clone();
      row += member.rows;
    }
  }
  return kept;
}

void LearnedModel::check_kept(const KeptWeights& kept, const std::string& origin) const {
  const auto check = [&](const TensorId& id, int64_t values, bool in_bytes) {
    const auto found = kept.find(id);
    if (found == kept.end() || found->second.numel() != values ||
        (found->second.scalar_type() == at::kByte) != in_bytes)
      fail(ErrorKind::kBadFile, "{}: the best {} is not there in {} {}; delete the checkpoint to begin anew", origin,
           name_of(id), values, in_bytes ? "bytes" : "values");
  };
  for (const Entry& entry : entries_) {
    if (!entry.matrix) check(entry.id, entry.latent.numel(), false);
    for (const Member& member : entry.members)
      if (entry.matrix)
        check(member.id, static_cast<int64_t>(entry.matrix->scheme().bytes(member.rows, entry.latent.size(1))), true);
  }
}

Model LearnedModel::model_of(const KeptWeights& kept) const {
  Model model(source_.config(), source_.source());
  for (const Entry& entry : entries_) {
    if (!entry.matrix) {
      model.set_weight(entry.id, kept.at(entry.id));
      continue;
    }
    const Scheme& scheme = entry.matrix->scheme();
    for (const Member& member : entry.members)
      model.set_stored(member.id, {scheme,
                                   {member.rows, entry.latent.size(1)},
                                   kept.at(member.id).reshape({scheme.rows_in_sequence() ? member.rows : 1, -1})});
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
    if (entry.steps() == nullptr) continue;
    for (const LearnedLeaf& leaf : entry.steps()->leaves())
      all["weight." + leaf_name(entry.id, leaf)] = leaf.value.detach();
  }
  return all;
}

void LearnedModel::restore(const std::map<std::string, at::Tensor>& state, const std::string& origin) {
  const c10::NoGradGuard no_grad;
  for (Entry& entry : entries_) {
    const std::string name = name_of(entry.id);
    entry.leaf().detach().copy_(tensor_of(state, "weight." + name, entry.leaf().sizes(), origin));
    if (!entry.matrix) continue;
    entry.fitted = true;
    const at::Tensor& fitted = tensor_of(state, "fitted." + name, {entry.matrix->fitted_bytes()}, origin);
    if (fitted.scalar_type() != at::kByte)
      fail(ErrorKind::kBadFile, "{}: fitted.{} is of {}, expected bytes", origin, name, c10::str(fitted.scalar_type()));
    entry.matrix->restore(fitted);
    if (entry.steps() == nullptr) continue;
    std::map<std::string, at::Tensor> leaves;
    for (const LearnedLeaf& leaf : entry.steps()->leaves())
      leaves[leaf.name] = tensor_of(state, "weight." + leaf_name(entry.id, leaf), origin);
    entry.steps()->restore(leaves, origin);
  }
}

}  // namespace vernier
