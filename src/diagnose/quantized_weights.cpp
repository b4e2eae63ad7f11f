#include "diagnose/quantized_weights.h"

#include <fmt/format.h>

#include <map>
#include <optional>

#include "diagnose/weight_facts.h"
#include "model/requantize.h"
#include "scheme/fitting.h"
#include "vernier/quantize_tensor.h"

namespace vernier {

QuantizedWeights::QuantizedWeights(const Model& model, const Calibration& calibration, const DiagnoseOptions& options,
                                   int threads)
    : model_(model), calibration_(calibration), scheme_(Scheme::parse(options.scheme)), threads_(threads) {
  for (const std::string& candidate : options.candidates) candidates_.push_back(Scheme::parse(candidate));
}

at::Tensor QuantizedWeights::make(const TensorId& id) const {
  return requantized_values(model_, id, scheme_of(id), calibration_.importance(model_, id), threads_);
}

WeightFacts QuantizedWeights::facts(const TensorId& id, const at::Tensor& quantized) const {
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
    facts.error_power[candidate.name()] =
        weighted_error_power(weight, quantize_values(candidate, weight, importance, threads_, name_of(id)), importance);
  }
  return facts;
}

Scheme QuantizedWeights::scheme_of(const TensorId& id) const {
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

std::vector<std::string> QuantizedWeights::fallback_lines() const {
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
    lines.push_back(fmt::format("{} of {} matrices measured as {}: {}", count, matrices.size(), key.first, key.second));
  return lines;
}

}  // namespace vernier
