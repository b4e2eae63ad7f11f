#include "diagnose/weight_facts.h"

#include <ATen/ATen.h>

#include <cmath>

namespace vernier {

namespace {

double power(const at::Tensor& values, const std::vector<float>& importance) {
  const at::Tensor columns = values.square().sum(0, /*keepdim=*/false, at::kDouble);
  return (importance.empty() ? columns : columns * at::tensor(importance)).sum().item<double>();
}

double decibel(double signal, double noise) { return noise > 0 ? 10 * std::log10(signal / noise) : INFINITY; }

}  // namespace

double weighted_error_power(const at::Tensor& weight, const at::Tensor& quantized,
                            const std::vector<float>& importance) {
  return power(quantized - weight.to(at::kFloat), importance);
}

WeightFacts weight_facts(const TensorId& tensor, const at::Tensor& weight, const at::Tensor& quantized,
                         const std::vector<float>& importance) {
  const at::Tensor w = weight.to(at::kFloat);
  const at::Tensor centred = w - w.mean();
  const double variance = centred.square().mean(at::kDouble).item<double>();
  const double fourth = centred.square().square().mean(at::kDouble).item<double>();
  WeightFacts facts;
  facts.tensor = tensor;
  if (variance > 0) {
    facts.absmax_over_sigma = w.abs().max().item<double>() / std::sqrt(variance);
    facts.excess_kurtosis = fourth / (variance * variance) - 3;
  }
  facts.sqnr_db = decibel(power(w, {}), weighted_error_power(w, quantized, {}));
  facts.weighted_sqnr_db = decibel(power(w, importance), weighted_error_power(w, quantized, importance));
  return facts;
}

}  // namespace vernier
