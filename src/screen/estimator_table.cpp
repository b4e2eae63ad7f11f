#include <cmath>

#include "base/statistics.h"
#include "screen/component_sums.h"
#include "vernier/screen.h"

namespace vernier {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

Measured per(const std::vector<double>& sums, const std::vector<double>& counts) {
  return sums.empty() ? Measured{kNaN, kNaN} : ratio_estimate(sums, counts);
}

Measured diagonal(const ComponentSums& sums) { return per(sums.diagonal, sums.tokens); }
Measured directional(const ComponentSums& sums) { return per(sums.directional, sums.tokens); }
Measured kfac(const ComponentSums& sums) {
  const Measured twice = per(sums.kfac_twice, sums.tokens);
  return {twice.mean / 2, twice.standard_error};
}
Measured first_order(const ComponentSums& sums) {
  const Measured signed_mean = per(sums.dots, sums.tokens);
  return {std::abs(signed_mean.mean), signed_mean.standard_error};
}
Measured fit(const ComponentSums& sums) { return per(sums.fit, sums.tokens); }
Measured hawq_v2(const ComponentSums& sums) { return sums.hessian; }
Measured top_eigenvalue(const ComponentSums& sums) { return {sums.top_eigenvalue, kNaN}; }
Measured output_mse(const ComponentSums& sums) { return per(sums.output_error, sums.positions); }
Measured weight_mse(const ComponentSums& sums) { return {sums.error_squares, kNaN}; }
Measured sqnr(const ComponentSums& sums) {
  if (sums.error_squares <= 0) return {kNaN, kNaN};
  return {10 * std::log10(sums.weight_squares / sums.error_squares), kNaN};
}
Measured cosine(const ComponentSums& sums) {
  const double quantized = sums.weight_squares + 2 * sums.error_products + sums.error_squares;
  if (sums.weight_squares <= 0 || quantized <= 0) return {kNaN, kNaN};
  return {(sums.weight_squares + sums.error_products) / std::sqrt(sums.weight_squares * quantized), kNaN};
}

}  // namespace

const std::vector<Estimator>& estimators() {
  static const std::vector<Estimator> rows = {
      {.key = "predicted_kl",
       .name = "predicted KL",
       .unit = "nats",
       .source = "the diagonal estimate, scaled by directional / diagonal",
       .meaning = "The diagonal estimate ranks, the directional one sets the level: what a planner should use",
       .needs = "calibration of the others",
       .predicts_nats = true},
      {.key = "diagonal",
       .name = "diagonal Fisher",
       .unit = "nats",
       .source = "SqueezeLLM, arXiv:2306.07629, eq. 3, with labels of the model and the error in place",
       .meaning = "1/2 sum F_ii dW_i^2: weights as if they did not interact; low variance",
       .needs = "gradients",
       .predicts_nats = true,
       .estimate = diagonal},
      {.key = "directional",
       .name = "directional Fisher",
       .unit = "nats",
       .source = "second-order KL along the error, dW' F dW / 2; Martens, arXiv:1412.1193, section 5",
       .meaning = "1/2 E[(g.dW)^2]: unbiased to second order, noisy",
       .needs = "gradients",
       .predicts_nats = true,
       .estimate = directional},
      {.key = "kfac",
       .name = "K-FAC",
       .unit = "nats",
       .source = "Martens and Grosse, arXiv:1503.05671, eq. 1, on sampled rows",
       .meaning = "1/2 tr(G dW H dW'): input and output directions as if they were independent",
       .needs = "token rows",
       .predicts_nats = true,
       .estimate = kfac},
      {.key = "first_order",
       .name = "first order",
       .unit = "nats",
       .source = "Taylor expansion to first order, |E[g].dW|",
       .meaning = "Mean gradient along the error; with labels of the model its expectation is 0, so only noise is left",
       .needs = "gradients",
       .estimate = first_order},
      {.key = "fit",
       .name = "FIT",
       .unit = "",
       .source = "FIT, arXiv:2210.08502, eq. 5, with the error itself for its uniform-noise model",
       .meaning = "Trace of the Fisher information times the mean squared error, summed over matrices",
       .needs = "gradients",
       .estimate = fit},
      {.key = "hawq_v2",
       .name = "HAWQ-V2",
       .unit = "",
       .source = "HAWQ-V2, arXiv:1911.03852, eq. 2, by Hutchinson probes",
       .meaning = "Mean Hessian eigenvalue times the squared error, summed over matrices",
       .needs = "Hessian probes",
       .estimate = hawq_v2},
      {.key = "top_eigenvalue",
       .name = "top eigenvalue",
       .unit = "",
       .source = "after HAWQ, arXiv:1905.03696, with the K-FAC factors' largest eigenvalues",
       .meaning = "1/2 lambda(G) lambda(H) |dW|^2: what K-FAC says if the error lay in the worst direction",
       .needs = "token rows",
       .estimate = top_eigenvalue},
      {.key = "output_mse",
       .name = "output MSE",
       .unit = "",
       .source = "layer reconstruction error, as in GPTQ, arXiv:2210.17323, eq. 1",
       .meaning = "E|dW x|^2: how far the matrices' own outputs move",
       .needs = "token rows",
       .estimate = output_mse},
      {.key = "weight_mse",
       .name = "weight MSE",
       .unit = "",
       .source = "sum dW^2",
       .meaning = "Squared error of the component's weights, summed",
       .needs = "weights",
       .estimate = weight_mse},
      {.key = "sqnr_db",
       .name = "SQNR (dB)",
       .unit = "dB",
       .source = "10 log10(sum W^2 / sum dW^2)",
       .meaning = "Signal to quantization noise of the weights",
       .needs = "weights",
       .falls = true,
       .estimate = sqnr},
      {.key = "cosine",
       .name = "cosine",
       .unit = "",
       .source = "W.Q(W) / (|W| |Q(W)|)",
       .meaning = "Angle between the weights before and after",
       .needs = "weights",
       .falls = true,
       .estimate = cosine},
  };
  return rows;
}

const Estimator* find_estimator(std::string_view key) {
  for (const Estimator& estimator : estimators())
    if (estimator.key == key) return &estimator;
  return nullptr;
}

}  // namespace vernier
