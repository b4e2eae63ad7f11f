// Every step where held-back text agrees, matrix by matrix.

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <optional>

#include "quantize/grid_search.h"
#include "quantize/guard.h"
#include "quantize/value_search_table.h"
#include "vernier/quantize_tensor.h"

namespace vernier {

namespace {

/// What is tried, beside rounding to nearest, with each kind of ranges. The weakest first: of equals it is taken.
constexpr double kShrinkages[] = {1, 0.5, 0.15, 0.04};  // 1: columns have nothing to do with each other
/// And of rows, where the columns' is decided.
constexpr double kOutputShrinkages[] = {0.5, 0.15};

struct AutoCandidate {
  Ranges ranges = Ranges::kFitted;
  double shrink = 1, output_shrink = 1;
};

class AutoSearch {
 public:
  explicit AutoSearch(const SearchInput& in)
      : in_(in), matrix_(in), nearest_(matrix_.make({}, {}, nullptr)), folds_(guard_folds(*in.grams)) {
    const std::vector<size_t> parts = parts_with_tokens(*in.grams);
    const auto has_outputs = [&](size_t part) {
      return part < in.output_grams->parts.size() && in.output_grams->parts[part].defined();
    };
    if (in.output_grams != nullptr && std::ranges::all_of(parts, has_outputs)) outputs_ = in.output_grams;
    baseline_.resize(in.grams->parts.size());
    for (const GuardFold& fold : folds_) judge(nearest_, fold, baseline_);
  }

  std::vector<std::byte> run() {
    std::vector<AutoCandidate> candidates;
    if (matrix_.spans_all()) candidates.push_back({Ranges::kFitted, 1});
    for (const double shrink : kShrinkages) candidates.push_back({Ranges::kSearched, shrink});
    try_all(candidates);
    if (best_ && best_->shrink < 1 && outputs_ != nullptr) {
      candidates.assign(std::size(kOutputShrinkages), *best_);
      for (size_t i = 0; i < candidates.size(); ++i) candidates[i].output_shrink = kOutputShrinkages[i];
      try_all(candidates);
    }
    if (!best_) return nearest_;
    const std::vector<size_t> all = parts_with_tokens(*in_.grams);
    const at::Tensor gram = mean_gram(*in_.grams, all);
    return codes(matrix_.fit(best_->ranges, importance_of(gram)), *best_, gram, all);
  }

 private:
  /// A candidate takes the place of the best where it is better on what it was not made from.
  void try_all(const std::vector<AutoCandidate>& candidates) {
    std::vector<std::vector<double>> errors(candidates.size(), std::vector<double>(baseline_.size()));
    for (const GuardFold& fold : folds_) {
      const at::Tensor gram = mean_gram(*in_.grams, fold.made_from);
      std::map<Ranges, std::vector<std::byte>> scales;
      for (size_t c = 0; c < candidates.size(); ++c) {
        std::vector<std::byte>& fitted = scales[candidates[c].ranges];
        if (fitted.empty()) fitted = matrix_.fit(candidates[c].ranges, importance_of(gram));
        judge(codes(fitted, candidates[c], gram, fold.made_from), fold, errors[c]);
      }
    }
    for (size_t c = 0; c < candidates.size() && !folds_.empty(); ++c)
      if (const double score = guarded_score(errors[c], baseline_); score < best_score_) {
        best_score_ = score;
        best_ = candidates[c];
      }
  }

  void judge(const std::vector<std::byte>& stored, const GuardFold& fold, std::vector<double>& errors) const {
    const at::Tensor error = matrix_.values(stored) - matrix_.weight();
    for (const size_t part : fold.judged_on)
      errors[part] =
          output_error(error, in_.grams->parts[part], outputs_ != nullptr ? outputs_->parts[part] : at::Tensor());
  }

  std::vector<std::byte> codes(const std::vector<std::byte>& scales, const AutoCandidate& how, const at::Tensor& gram,
                               const std::vector<size_t>& made_from) const {
    if (how.shrink == 1) return matrix_.with_codes(scales, {}, importance_of(gram), nullptr);
    const Curvature curvature = curvature_of(gram, how.shrink, matrix_.joint_cols());
    const GridRecipe recipe{.feed_back = true, .descend = true};
    if (how.output_shrink == 1) return matrix_.with_codes(scales, recipe, {}, &curvature);
    const OutputCurvature output = output_curvature_of(mean_gram(*outputs_, made_from), how.output_shrink);
    return matrix_.with_codes(scales, recipe, {}, &curvature, &output);
  }

  const SearchInput& in_;
  const GridSearch matrix_;
  const std::vector<std::byte> nearest_;
  const std::vector<GuardFold> folds_;
  const InputGrams* outputs_ = nullptr;
  std::vector<double> baseline_;  // by part, of what is rounded to nearest
  std::optional<AutoCandidate> best_;
  double best_score_ = 0;
};

std::vector<std::byte> auto_bytes(const SearchInput& in) {
  if (in.grams == nullptr || in.scheme.held_by(Container::kPlainTensors))
    return quantize_bytes(in.scheme, in.weight, in.importance, in.threads, in.what);
  return AutoSearch(in).run();
}

}  // namespace

ValueSearch auto_search() {
  return {
      .name = "auto",
      .about = "folding, ranges, feedback and descent, each where parts of the text that it was not made from agree",
      .source = "the others' steps, guarded by cross-validation over the domains of the text",
      .needs = ValueSearch::Needs::kGram,
      .folding = ValueSearch::Folding::kGuarded,
      .uses_outputs = true,
      .corrects_biases = true,
      .run = auto_bytes};
}

}  // namespace vernier
