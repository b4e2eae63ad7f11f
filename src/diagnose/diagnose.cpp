#include "vernier/diagnose.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/fail.h"
#include "base/hash.h"
#include "base/shared_progress.h"
#include "base/statistics.h"
#include "diagnose/checkpoint.h"
#include "diagnose/weight_facts.h"
#include "engine/aten_model.h"
#include "engine/engine.h"
#include "model/requantize.h"
#include "ops/parallel.h"
#include "scheme/fitting.h"
#include "vernier/quantize_tensor.h"

namespace vernier {

namespace {

using Role = TensorRole;

/// Means over the scored tokens, with errors over distinct windows.
struct Damage {
  Measured kl, delta_nll, same_top;
};

Damage summarize(const EvaluationData& data, const std::vector<DamageSums>& windows) {
  std::vector<double> tokens, kl, delta_nll, same_top;  // per distinct cluster
  std::map<int64_t, size_t> row_of;
  for (size_t w = 0; w < windows.size(); ++w) {
    const auto [it, is_new] = row_of.try_emplace(data.distinct_cluster(data.windows[w]), tokens.size());
    if (is_new)
      for (auto* column : {&tokens, &kl, &delta_nll, &same_top}) column->push_back(0);
    tokens[it->second] += windows[w].tokens;
    kl[it->second] += windows[w].kl;
    delta_nll[it->second] += windows[w].delta_nll;
    same_top[it->second] += windows[w].same_top;
  }
  const auto measured = [&](const std::vector<double>& sums) { return ratio_estimate(sums, tokens); };
  return {measured(kl), measured(delta_nll), measured(same_top)};
}

ComponentDamage component_damage(const Model& model, const Component& component, const EvaluationData& data,
                                 const std::vector<DamageSums>& windows) {
  int64_t parameters = 0;
  for (const WeightSlice& slice : slices_of(model.config(), component)) parameters += slice.size();
  const Damage damage = summarize(data, windows);
  return {component, parameters, damage.kl, damage.delta_nll, damage.same_top};
}

/// The matrices of one layer, in the order in which they are measured.
std::vector<TensorId> matrices_of_layer(const Model& model, int layer) {
  std::vector<TensorId> ids;
  for (const TensorId& id : tensors_in(model.config(), layer))
    if (is_matrix(id.role)) ids.push_back(id);
  return ids;
}

/// The quantized matrices of one layer, or one matrix outside the layers, and the facts about them.
class QuantizedWeights {
 public:
  QuantizedWeights(const Model& model, const Calibration& calibration, const DiagnoseOptions& options, int threads)
      : model_(model), calibration_(calibration), scheme_(Scheme::parse(options.scheme)), threads_(threads) {
    for (const std::string& candidate : options.candidates) candidates_.push_back(Scheme::parse(candidate));
  }

  at::Tensor make(const TensorId& id) const {
    return requantized_values(model_, id, scheme_of(id), calibration_.importance(model_, id), threads_);
  }

  WeightFacts facts(const TensorId& id, const at::Tensor& quantized) const {
    const at::Tensor weight = model_.weight(id);
    const std::vector<float> importance = calibration_.importance(model_, id);
    WeightFacts facts = weight_facts(id, weight, quantized, importance);
    facts.rows = weight.size(0);
    facts.cols = weight.size(1);
    facts.scheme = scheme_of(id).name();
    facts.error_power[facts.scheme] = weighted_error_power(weight, quantized, importance);
    if (!candidates_.empty()) facts.error_power[model_.scheme_in_file(id).name()] = 0;  // kept as it is
    for (const Scheme& wanted : candidates_) {
      const Scheme candidate = fitting_scheme(wanted, facts.rows, facts.cols);
      if (facts.error_power.contains(candidate.name())) continue;
      facts.error_power[candidate.name()] = weighted_error_power(
          weight, quantize_values(candidate, weight, importance, threads_, name_of(id)), importance);
    }
    return facts;
  }

  /// The wanted scheme, or its fallback by shape. A matrix that is stored in it already would show no damage, and a
  /// planner could foretell nothing from that: it is measured in the next coarser candidate.
  Scheme scheme_of(const TensorId& id) const {
    const std::vector<int64_t> shape = model_.shape(id);
    const Scheme fitting = fitting_scheme(scheme_, shape[0], shape[1]);
    const uint64_t stored_bytes = fitting.bytes(shape[0], shape[1]);
    if (candidates_.empty() || !keeps_stored(model_, id, fitting)) return fitting;
    std::optional<Scheme> coarser;
    for (const Scheme& wanted : candidates_) {
      const Scheme candidate = fitting_scheme(wanted, shape[0], shape[1]);
      const uint64_t bytes = candidate.bytes(shape[0], shape[1]);
      if (bytes < stored_bytes && (!coarser || bytes > coarser->bytes(shape[0], shape[1]))) coarser = candidate;
    }
    return coarser.value_or(fitting);
  }

  /// What stands in for the wanted scheme and why, a line for all matrices alike.
  std::vector<std::string> fallback_lines() const {
    const std::vector<TensorId> matrices = model_.matrices();
    std::map<std::pair<std::string, std::string>, int> counts;  // given, reason
    for (const TensorId& id : matrices) {
      const std::vector<int64_t> shape = model_.shape(id);
      const Scheme given = scheme_of(id), fitting = fitting_scheme(scheme_, shape[0], shape[1]);
      if (given == scheme_) continue;
      ++counts[{given.name(), given == fitting ? fmt::format("{} does not fit rows of {}", scheme_.name(), shape[1])
                                               : fmt::format("they are stored as {} already", fitting.name())}];
    }
    std::vector<std::string> lines;
    for (const auto& [key, count] : counts)
      lines.push_back(
          fmt::format("{} of {} matrices measured as {}: {}", count, matrices.size(), key.first, key.second));
    return lines;
  }

 private:
  const Model& model_;
  const Calibration& calibration_;
  Scheme scheme_;
  std::vector<Scheme> candidates_;
  int threads_;
};

/// KL between the sweep's base and the same model in plain, differently ordered float32 arithmetic, on one window.
double noise_floor(const Model& model, Sweep& sweep, const EvaluationData& data) {
  constexpr int64_t kRows = 64;  // of logits in float64 at once
  const c10::NoGradGuard no_grad;
  const TokenWindow& window = data.windows.front();
  const std::vector<int64_t> ids(window.tokens.begin(), window.tokens.end() - 1);
  const at::Tensor input = at::tensor(ids, at::kLong).unsqueeze(0);
  double kl = 0;
  int64_t rows = 0;
  // By one thread: with more, a library may split a sum by how busy the machine is, and a resumed run would differ.
  parallel_for(1, 1, [&](int64_t, int) {
    const at::Tensor plain = forward_logits(model, input, window.first_row, {.layer_by_layer = true})[0];
    const at::Tensor base = sweep.base_logits(0);
    rows = plain.size(0);
    for (int64_t first = 0; first < rows; first += kRows) {
      const auto log_p = [&](const at::Tensor& logits) {
        return logits.narrow(0, first, std::min(kRows, rows - first)).to(at::kDouble).log_softmax(-1);
      };
      const at::Tensor p = log_p(plain);
      kl += (p.exp() * (p - log_p(base))).sum().item<double>();
    }
  });
  return kl / static_cast<double>(rows);
}

void add_summaries(Diagnosis& d) {
  for (const ComponentKind kind : all_component_kinds()) {
    if (kind == ComponentKind::kEmbed || kind == ComponentKind::kLmHead) continue;  // one of each
    std::vector<double> kl;
    for (const ComponentDamage& c : d.components)
      if (c.component.kind == kind) kl.push_back(c.kl.mean);
    if (kl.empty()) continue;
    const Spread s = spread_of(kl);
    d.differential_bias.push_back(
        {kind, s.count, s.min, s.max, s.range(), s.mean, s.standard_deviation, s.coefficient_of_variation()});
  }
  std::vector<double> kl, absmax, kurtosis, sqnr, weighted;
  for (const WeightFacts& facts : d.weight_facts) {
    const ComponentDamage* damage = d.find(component_of(facts.tensor));
    if (damage == nullptr || facts.tensor.layer < 0) continue;  // matrices of layers, which are alike
    kl.push_back(damage->kl.mean);
    absmax.push_back(facts.absmax_over_sigma);
    kurtosis.push_back(facts.excess_kurtosis);
    sqnr.push_back(facts.sqnr_db);
    weighted.push_back(facts.weighted_sqnr_db);
  }
  const auto count = static_cast<int64_t>(kl.size());
  if (count > 1)
    d.rank_correlation = {{"absmax_over_sigma", spearman(absmax, kl), count},
                          {"excess_kurtosis", spearman(kurtosis, kl), count},
                          {"sqnr_db", spearman(sqnr, kl), count},
                          {"weighted_sqnr_db", spearman(weighted, kl), count}};
}

}  // namespace

const ComponentDamage* Diagnosis::find(const Component& component) const {
  for (const ComponentDamage& damage : components)
    if (damage.component == component) return &damage;
  return nullptr;
}

Diagnosis diagnose(const Model& model, const Calibration& calibration, const EvaluationData& data,
                   const DiagnoseOptions& options, ProgressSink* progress) {
  check_calibration(calibration, model);
  const int threads = resolve_threads(options.compute);
  const QuantizedWeights quantized(model, calibration, options, threads);
  Diagnosis d;
  d.model_hash = model_hash(model);
  d.calibration_hash = calibration_hash(calibration);
  d.data_name = data.name;
  d.data_hash = data.hash;
  d.scheme = Scheme::parse(options.scheme).name();
  d.windows = static_cast<int64_t>(data.windows.size());
  d.tokens = data.scored_tokens();

  const std::vector<Component> components = components_of(model.config(), options.kinds);
  Hasher key;
  for (const std::string& part : {d.model_hash, d.data_hash, d.scheme}) key.add(part);
  key.add(fmt::format("{} {}", static_cast<int>(options.compute.type), fmt::join(options.candidates, " ")));
  for (const Component& c : components) key.add(name_of(c));
  // The calibration by what it says: its text does not tell how it was made.
  for (const TensorId& id : model.matrices()) {
    const std::vector<float> importance = calibration.importance(model, id);
    key.add(std::as_bytes(std::span(importance)));
  }
  const SweepCheckpoint checkpoint(options.checkpoint, key.hex(), progress);

  const std::unique_ptr<Engine> engine = make_engine(options.compute);
  const std::unique_ptr<Sweep> sweep = engine->sweep(model, data, options.compute.type);
  d.noise_floor_kl = noise_floor(model, *sweep, data);
  const int64_t total = static_cast<int64_t>(components.size()) * d.windows;
  SharedProgress shared(progress);
  if (progress != nullptr) progress->begin("diagnose", total, "component windows");

  const auto remember = [&](SweepPart part) {
    std::move(part.components.begin(), part.components.end(), std::back_inserter(d.components));
    std::move(part.weight_facts.begin(), part.weight_facts.end(), std::back_inserter(d.weight_facts));
    d.control_kl = std::max(d.control_kl, part.control_kl);
  };
  const auto outside = [&](const Component& component) {  // the embedding or the output matrix
    const TensorId id{component.kind == ComponentKind::kEmbed ? Role::kTokenEmbedding : Role::kOutput, -1};
    auto part = checkpoint.load(name_of(component), {component}, {id});
    if (!part) {
      const at::Tensor values = quantized.make(id);
      const auto damage = sweep->embedding({component, [&](const TensorId&) { return values; }});
      part = SweepPart{{component_damage(model, component, data, damage)}, {quantized.facts(id, values)}};
      checkpoint.save(name_of(component), *part);
    }
    remember(std::move(*part));
    shared.add(d.windows);
  };

  for (const Component& c : components)
    if (c.kind == ComponentKind::kEmbed) outside(c);
  for (int layer = 0; layer < model.config().depth(); ++layer) {
    const std::string name = fmt::format("L{}", layer);
    std::vector<Component> own;
    for (const Component& c : components)
      if (c.layer == layer) own.push_back(c);
    const std::vector<TensorId> tensors = matrices_of_layer(model, layer);
    auto part = checkpoint.load(name, own, tensors);
    if (part) {
      sweep->layer(layer, {}, nullptr);  // the next layer needs this one's stream
      shared.add(static_cast<int64_t>(own.size()) * d.windows);
    } else {
      std::map<TensorId, at::Tensor> values;
      for (const TensorId& id : tensors) values[id] = quantized.make(id);
      const WeightSource changed = [&](const TensorId& id) { return values.at(id); };
      const WeightSource unchanged = [&](const TensorId& id) { return model.weight(id); };
      std::vector<Perturbation> perturbations;
      for (const Component& c : own) perturbations.push_back({c, changed});
      // The control goes through the same stack: components whose "quantized" weights are their own. Of heads, whose
      // differences are added to the stream, in every layer; of what recomputes the stream, in the first.
      perturbations.push_back({{ComponentKind::kHead, layer, 0}, unchanged});
      perturbations.push_back({{ComponentKind::kKvHead, layer, 0}, unchanged});
      if (layer == 0)
        for (const Component& control : {Component{ComponentKind::kFfn, 0}, component_of(tensors.front()),
                                         component_of(tensors.back()), Component{ComponentKind::kLayer, 0}})
          perturbations.push_back({control, unchanged});
      const auto damage = sweep->layer(layer, perturbations, [&] { shared.add(static_cast<int64_t>(own.size())); });
      part.emplace();
      for (size_t i = 0; i < own.size(); ++i)
        part->components.push_back(component_damage(model, own[i], data, damage[i]));
      for (size_t i = own.size(); i < damage.size(); ++i)
        for (const DamageSums& window : damage[i]) part->control_kl = std::max(part->control_kl, window.kl);
      for (const TensorId& id : tensors) part->weight_facts.push_back(quantized.facts(id, values.at(id)));
      checkpoint.save(name, *part);
    }
    remember(std::move(*part));
  }
  for (const Component& c : components)
    if (c.kind == ComponentKind::kLmHead) outside(c);
  if (progress != nullptr) progress->end();

  // Additivity compares the joint damage with the sum over all that was changed, so each must have been measured.
  const std::vector<TensorId> matrices = model.matrices();
  const bool all_measured = std::all_of(matrices.begin(), matrices.end(),
                                        [&](const TensorId& id) { return d.find(component_of(id)) != nullptr; });
  if (options.joint && all_measured) {
    Model all(model.config(), model.source());
    for (const TensorId& id : model.tensors())
      all.set_weight(id, is_matrix(id.role) ? quantized.make(id) : model.weight(id));
    d.joint_kl = summarize(data, sweep->whole_model(all)).kl;
    for (const ComponentDamage& c : d.components) {
      const bool whole_tensor = c.component.kind == ComponentKind::kTensor ||
                                c.component.kind == ComponentKind::kEmbed || c.component.kind == ComponentKind::kLmHead;
      if (whole_tensor) d.sum_isolated_kl += c.kl.mean;
    }
    d.additivity_ratio = d.sum_isolated_kl > 0 ? d.joint_kl->mean / d.sum_isolated_kl : 0;
  }
  d.fallbacks = quantized.fallback_lines();
  add_summaries(d);
  return d;
}

}  // namespace vernier
