// Every step where held-back text agrees, matrix by matrix.

#include <ATen/ATen.h>

#include <map>

#include "quantize/grid_search.h"
#include "quantize/guard.h"
#include "quantize/value_search_table.h"
#include "vernier/quantize_tensor.h"

namespace vernier {

namespace {

/// What is tried, beside rounding to nearest, with each kind of ranges. The weakest first: of equals it is taken.
constexpr double kShrinkages[] = {1, 0.5, 0.15, 0.04};  // 1: columns have nothing to do with each other

struct AutoCandidate {
  Ranges ranges = Ranges::kFitted;
  double shrink = 1;
};

std::vector<AutoCandidate> candidates_of(const GridSearch& matrix) {
  std::vector<AutoCandidate> all;
  if (matrix.spans_all()) all.push_back({Ranges::kFitted, 1});
  for (const double shrink : kShrinkages) all.push_back({Ranges::kSearched, shrink});
  return all;
}

std::vector<std::byte> codes_of(const GridSearch& matrix, const std::vector<std::byte>& scales, double shrink,
                                const at::Tensor& gram) {
  if (shrink == 1) return matrix.with_codes(scales, {}, nullptr);
  const Curvature curvature = curvature_of(gram, shrink);
  return matrix.with_codes(scales, {.feed_back = true, .descend = true}, &curvature);
}

std::vector<std::byte> auto_bytes(const SearchInput& in) {
  if (in.grams == nullptr || in.scheme.held_by(Container::kPlainTensors))
    return quantize_bytes(in.scheme, in.weight, in.importance, in.threads, in.what);
  const GridSearch matrix(in);
  const std::vector<AutoCandidate> candidates = candidates_of(matrix);
  std::vector<std::byte> nearest = matrix.make({}, {}, nullptr);
  const at::Tensor nearest_error = matrix.values(nearest) - matrix.weight();
  const size_t parts = in.grams->parts.size();
  std::vector<double> baseline(parts);
  std::vector<std::vector<double>> errors(candidates.size(), std::vector<double>(parts));
  const std::vector<GuardFold> folds = guard_folds(*in.grams);
  for (const GuardFold& fold : folds) {
    const at::Tensor gram = mean_gram(*in.grams, fold.made_from);
    std::map<Ranges, std::vector<std::byte>> scales;
    for (const size_t part : fold.judged_on) baseline[part] = output_error(nearest_error, in.grams->parts[part]);
    for (size_t c = 0; c < candidates.size(); ++c) {
      std::vector<std::byte>& fitted = scales[candidates[c].ranges];
      if (fitted.empty()) fitted = matrix.fit(candidates[c].ranges, importance_of(gram));
      const at::Tensor error = matrix.values(codes_of(matrix, fitted, candidates[c].shrink, gram)) - matrix.weight();
      for (const size_t part : fold.judged_on) errors[c][part] = output_error(error, in.grams->parts[part]);
    }
  }
  const AutoCandidate* best = nullptr;
  double best_score = 0;
  for (size_t c = 0; c < candidates.size() && !folds.empty(); ++c)
    if (const double score = guarded_score(errors[c], baseline); score < best_score) {
      best_score = score;
      best = &candidates[c];
    }
  if (best == nullptr) return nearest;
  const at::Tensor gram = mean_gram(*in.grams, parts_with_tokens(*in.grams));
  return codes_of(matrix, matrix.fit(best->ranges, importance_of(gram)), best->shrink, gram);
}

}  // namespace

ValueSearch auto_search() {
  return {
      .name = "auto",
      .about = "folding, ranges, feedback and descent, each where parts of the text that it was not made from agree",
      .source = "the others' steps, guarded by cross-validation over the domains of the text",
      .needs = ValueSearch::Needs::kGram,
      .folding = ValueSearch::Folding::kGuarded,
      .corrects_biases = true,
      .run = auto_bytes};
}

}  // namespace vernier
