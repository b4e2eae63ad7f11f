// Every step where held-back text agrees, matrix by matrix.

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "ops/nested_for.h"
#include "quantize/grid_search.h"
#include "quantize/guard.h"
#include "quantize/search_memory.h"
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
      : in_(in),
        matrix_(in),
        nearest_(matrix_.make({}, {}, nullptr)),
        folds_(guard_folds(*in.grams)),
        outputs_(outputs_of_all_parts(*in.grams, in.output_grams)) {
    baseline_.resize(in.grams->parts.size());
    fitted_.resize(folds_.size());
    for_each(folds_.size(), [&](size_t fold) { judge(nearest_, folds_[fold], baseline_); });
    best_errors_ = baseline_;
  }

  SearchedValues run() {
    std::vector<AutoCandidate> candidates;
    if (matrix_.spans_all()) candidates.push_back({Ranges::kFitted, 1});
    const Ranges ranges = in_.cuts_off ? Ranges::kSearched : Ranges::kFitted;
    for (const double shrink : kShrinkages) candidates.push_back({ranges, shrink});
    try_all(candidates);
    if (best_ && best_->shrink < 1 && outputs_ != nullptr) {
      candidates.assign(std::size(kOutputShrinkages), *best_);
      for (size_t i = 0; i < candidates.size(); ++i) candidates[i].output_shrink = kOutputShrinkages[i];
      try_all(candidates);
    }
    const std::vector<double> judged = folds_.empty() ? std::vector<double>() : std::move(best_errors_);
    if (!best_) return {nearest_, judged};
    const std::vector<size_t> all = parts_with_tokens(*in_.grams);
    const at::Tensor gram = mean_gram(*in_.grams, all);
    return {codes(matrix_.fit(best_->ranges, importance_of(gram)), *best_, gram, curvature(gram, best_->shrink), all),
            judged};
  }

 private:
  using Fitted = std::map<Ranges, std::vector<std::byte>>;

  void for_each(size_t count, const std::function<void(size_t)>& fn) const {
    nested_for(
        static_cast<int64_t>(count), in_.threads,
        [&](int64_t i) {
          const c10::NoGradGuard no_grad;
          fn(static_cast<size_t>(i));
        },
        candidate_bytes(matrix_.weight().size(0), matrix_.weight().size(1), outputs_ != nullptr));
  }

  /// A candidate takes the place of the best where it is better on what it was not made from.
  void try_all(const std::vector<AutoCandidate>& candidates) {
    std::vector<std::vector<double>> errors(candidates.size(), std::vector<double>(baseline_.size()));
    std::map<double, std::vector<size_t>> by_shrink;
    for (size_t c = 0; c < candidates.size(); ++c) {
      by_shrink[candidates[c].shrink].push_back(c);
      for (Fitted& of_fold : fitted_) of_fold[candidates[c].ranges];  // made before threads look for them
    }
    const std::vector<std::pair<double, std::vector<size_t>>> alike(by_shrink.begin(), by_shrink.end());
    fit_all();
    for_each(folds_.size() * alike.size(), [&](size_t i) {
      const size_t fold = i % folds_.size();
      const double shrink = alike[i / folds_.size()].first;
      const std::vector<size_t>& members = alike[i / folds_.size()].second;
      const at::Tensor gram = mean_gram(*in_.grams, folds_[fold].made_from);
      const std::optional<Curvature> of_columns = curvature(gram, shrink);
      for_each(members.size(), [&](size_t m) {
        const AutoCandidate& how = candidates[members[m]];
        judge(codes(fitted_[fold].at(how.ranges), how, gram, of_columns, folds_[fold].made_from), folds_[fold],
              errors[members[m]]);
      });
    });
    for (size_t c = 0; c < candidates.size() && !folds_.empty(); ++c)
      if (const double score = guarded_score(errors[c], baseline_); score < best_score_) {
        best_score_ = score;
        best_ = candidates[c];
        best_errors_ = errors[c];
      }
  }

  /// Scales that are not made yet.
  void fit_all() {
    struct Fit {
      size_t fold;
      Ranges ranges;
      std::vector<std::byte>& scales;
    };
    std::vector<Fit> fits;
    for (size_t fold = 0; fold < folds_.size(); ++fold)
      for (auto& [ranges, scales] : fitted_[fold])
        if (scales.empty()) fits.push_back({fold, ranges, scales});
    for_each(fits.size(), [&](size_t i) {
      const at::Tensor gram = mean_gram(*in_.grams, folds_[fits[i].fold].made_from);
      fits[i].scales = matrix_.fit(fits[i].ranges, importance_of(gram));
    });
  }

  void judge(const std::vector<std::byte>& stored, const GuardFold& fold, std::vector<double>& errors) const {
    const at::Tensor error = matrix_.values(stored) - matrix_.weight();
    for (const size_t part : fold.judged_on)
      errors[part] =
          output_error(error, in_.grams->parts[part], outputs_ != nullptr ? outputs_->parts[part] : at::Tensor());
  }

  /// Nothing where columns have nothing to do with each other.
  std::optional<Curvature> curvature(const at::Tensor& gram, double shrink) const {
    return shrink == 1 ? std::nullopt : std::optional(curvature_of(gram, shrink, matrix_.joint_cols(), in_.threads));
  }

  /// @param of_columns by the candidate's shrinkage
  std::vector<std::byte> codes(const std::vector<std::byte>& scales, const AutoCandidate& how, const at::Tensor& gram,
                               const std::optional<Curvature>& of_columns, const std::vector<size_t>& made_from) const {
    if (!of_columns) return matrix_.with_codes(scales, {}, importance_of(gram), nullptr);
    const GridRecipe recipe{.feed_back = true, .descend = true};
    if (how.output_shrink == 1) return matrix_.with_codes(scales, recipe, {}, &*of_columns);
    const OutputCurvature output = output_curvature_of(mean_gram(*outputs_, made_from), how.output_shrink, in_.threads);
    return matrix_.with_codes(scales, recipe, {}, &*of_columns, &output);
  }

  const SearchInput& in_;
  const GridSearch matrix_;
  const std::vector<std::byte> nearest_;
  const std::vector<GuardFold> folds_;
  const InputGrams* outputs_;
  std::vector<double> baseline_;  // by part, of what is rounded to nearest
  std::vector<Fitted> fitted_;    // scales by fold, made without it
  std::optional<AutoCandidate> best_;
  double best_score_ = 0;
  std::vector<double> best_errors_;  // by part, where it was judged
};

SearchedValues auto_values(const SearchInput& in) {
  if (in.grams == nullptr || in.scheme.held_by(Container::kPlainTensors))
    return {quantize_bytes(in.scheme, in.weight, in.importance, in.threads, in.what)};
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
      .judges_held_out = true,
      .corrects_biases = true,
      .run = auto_values};
}

}  // namespace vernier
