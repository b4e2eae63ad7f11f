// Every step where held-back text agrees, matrix by matrix.

#include <ATen/ATen.h>

#include "quantize/grid_search.h"
#include "quantize/guard.h"
#include "quantize/value_search_table.h"
#include "vernier/quantize_tensor.h"

namespace vernier {

namespace {

struct AutoCandidate {
  GridRecipe recipe{};
  double shrink = 0;  ///< 0: no Gram matrix is looked at
};

/// What is tried, beside rounding to nearest. The weakest first: of equals it is taken.
constexpr AutoCandidate kCandidates[] = {
    {{.ranges = Ranges::kFitted}},
    {{.ranges = Ranges::kSearched}},
    {{.ranges = Ranges::kSearched, .feed_back = true, .descend = true}, 0.5},
    {{.ranges = Ranges::kSearched, .feed_back = true, .descend = true}, 0.15},
    {{.ranges = Ranges::kSearched, .feed_back = true, .descend = true}, 0.04},
};

std::vector<std::byte> make_from(const GridSearch& matrix, const AutoCandidate& candidate, const at::Tensor& gram) {
  if (candidate.shrink == 0) return matrix.make(candidate.recipe, importance_of(gram), nullptr);
  const Curvature curvature = curvature_of(gram, candidate.shrink);
  return matrix.make(candidate.recipe, importance_of(gram), &curvature);
}

std::vector<std::byte> auto_bytes(const SearchInput& in) {
  if (in.grams == nullptr || in.scheme.held_by(Container::kPlainTensors))
    return quantize_bytes(in.scheme, in.weight, in.importance, in.threads, in.what);
  const GridSearch matrix(in);
  std::vector<std::byte> nearest = matrix.make({}, {}, nullptr);
  const at::Tensor nearest_error = matrix.values(nearest) - matrix.weight();
  const size_t parts = in.grams->parts.size();
  std::vector<double> baseline(parts);
  std::vector<std::vector<double>> errors(std::size(kCandidates), std::vector<double>(parts));
  const std::vector<GuardFold> folds = guard_folds(*in.grams);
  for (const GuardFold& fold : folds) {
    const at::Tensor gram = mean_gram(*in.grams, fold.made_from);
    for (const size_t part : fold.judged_on) baseline[part] = output_error(nearest_error, in.grams->parts[part]);
    for (size_t c = 0; c < std::size(kCandidates); ++c) {
      const at::Tensor error = matrix.values(make_from(matrix, kCandidates[c], gram)) - matrix.weight();
      for (const size_t part : fold.judged_on) errors[c][part] = output_error(error, in.grams->parts[part]);
    }
  }
  const AutoCandidate* best = nullptr;
  double best_score = 0;
  for (size_t c = 0; c < std::size(kCandidates) && !folds.empty(); ++c)
    if (const double score = guarded_score(errors[c], baseline); score < best_score) {
      best_score = score;
      best = &kCandidates[c];
    }
  if (best == nullptr) return nearest;
  return make_from(matrix, *best, mean_gram(*in.grams, parts_with_tokens(*in.grams)));
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
