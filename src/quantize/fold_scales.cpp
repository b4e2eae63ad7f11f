// Which scales: AWQ's power of the inputs' size, SmoothQuant's formula, or a guarded power.

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <numeric>

#include "ops/nested_for.h"
#include "quantize/fold.h"
#include "quantize/grid_search.h"
#include "quantize/guard.h"

namespace vernier {

namespace {

constexpr double kSmallestInput = 1e-3;  // of the mean: scales of idle channels stay finite

/// With largest and smallest symmetric about 1, as AWQ's program has them.
at::Tensor centred(const at::Tensor& scales) { return scales / (scales.max() * scales.min()).sqrt(); }

/// Root mean squares to the power of `exponent`.
at::Tensor power_scales(const FoldSite& fold, const at::Tensor& gram, double exponent) {
  const at::Tensor size = gram.diagonal().clamp_min(0).sqrt();
  return shared_scales(fold,
                       centred(size.clamp_min(kSmallestInput * size.mean().item<double>() + 1e-30).pow(exponent)));
}

/// max|x|^1/2 / max|w|^1/2
at::Tensor smooth_scales(const FoldInput& in) {
  at::Tensor input = at::tensor(in.statistics.abs_max), weight;
  for (const TensorId& id : in.fold.consumers) {
    const at::Tensor largest = in.model.weight(id).detach().to(at::kFloat).abs().amax(0);
    weight = weight.defined() ? at::max(weight, largest) : largest;
  }
  const auto bounded = [](const at::Tensor& x) { return x.clamp_min(1e-5); };
  return shared_scales(in.fold, centred((bounded(input) / bounded(weight)).sqrt()));
}

/// What every consumer's outputs lose together on each of `parts`, added to `errors`.
void add_errors(const FoldInput& in, const at::Tensor& scales, const at::Tensor& gram, const std::vector<size_t>& parts,
                std::vector<double>& errors) {
  const std::vector<float> importance = importance_of(folded_gram(gram, scales));
  for (const TensorId& id : in.fold.consumers) {
    const Scheme& scheme = in.schemes.at(id);
    if (scheme.held_by(Container::kPlainTensors)) continue;
    const at::Tensor weight = in.model.weight(id).detach().to(at::kFloat) * scales;
    const GridSearch matrix({scheme, weight, importance, in.threads, name_of(id)});
    const at::Tensor values = matrix.values(matrix.make({.ranges = Ranges::kSearched}, importance, nullptr));
    const at::Tensor error = (values - weight) / scales;
    for (const size_t part : parts) errors[part] += output_error(error, in.grams.parts[part]);
  }
}

/// What add_errors() holds: weights, values, errors and products of one consumer, and Gram matrices.
int64_t judging_bytes(const FoldInput& in) {
  int64_t most = 0;
  for (const TensorId& id : in.fold.consumers) {
    const std::vector<int64_t> shape = in.model.shape(id);
    most = std::max(most, 20 * shape[0] * shape[1] + 12 * shape[1] * shape[1]);
  }
  return most;
}

/// The exponent whose score, made from and judged on these folds, is least; 0 unless one is below 0.
double best_exponent(const FoldInput& in, const std::vector<GuardFold>& folds, int steps, double step, bool all_agree) {
  const auto exponents = static_cast<size_t>(steps) + 1;
  std::vector<std::vector<double>> errors(exponents, std::vector<double>(in.grams.parts.size()));
  nested_for(
      static_cast<int64_t>(exponents * folds.size()), in.threads,
      [&](int64_t item) {
        const c10::NoGradGuard no_grad;
        const size_t i = static_cast<size_t>(item) / folds.size();
        const GuardFold& fold = folds[static_cast<size_t>(item) % folds.size()];
        const at::Tensor gram = mean_gram(in.grams, fold.made_from);
        add_errors(in, power_scales(in.fold, gram, static_cast<double>(i) * step), gram, fold.judged_on, errors[i]);
      },
      judging_bytes(in));
  double best = 0, best_score = 0;
  for (size_t i = 1; i < exponents; ++i) {
    const auto total = [](const std::vector<double>& x) { return std::accumulate(x.begin(), x.end(), 0.0); };
    const double score = all_agree ? guarded_score(errors[i], errors[0]) : total(errors[i]) - total(errors[0]);
    if (!(score < best_score)) continue;
    best_score = score;
    best = static_cast<double>(i) * step;
  }
  return best;
}

}  // namespace

at::Tensor choose_scales(ValueSearch::Folding folding, const FoldInput& in) {
  const std::vector<size_t> all = parts_with_tokens(in.grams);
  double exponent = 0;
  switch (folding) {
    case ValueSearch::Folding::kNone: return {};
    case ValueSearch::Folding::kSmooth: return smooth_scales(in);
    case ValueSearch::Folding::kAwq: exponent = best_exponent(in, {{all, all}}, 19, 0.05, false); break;
    case ValueSearch::Folding::kGuarded: exponent = best_exponent(in, guard_folds(in.grams), 3, 0.25, true); break;
  }
  return exponent > 0 ? power_scales(in.fold, mean_gram(in.grams, all), exponent) : at::Tensor();
}

}  // namespace vernier
