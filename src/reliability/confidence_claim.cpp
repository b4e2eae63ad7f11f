// Is it only where the model was under-confident that quantizing it improves its calibration?

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/sequential.h"
#include "vernier/reliability.h"

namespace vernier {

namespace {

/// How likely a change at least as much for the better is where there is none, by the interval's distance on that side.
double by_luck(const ComparedValue& value, double confidence) {
  constexpr int64_t kNormal = 1'000'000'000;                              // degrees of freedom
  const double errors = student_quantile((1 + confidence) / 2, kNormal);  // that an interval reaches
  const double reach = value.change_interval.high - value.change;
  if (!(reach > 0)) return value.change < 0 ? 0 : 1;
  return std::erfc(-value.change / reach * errors / std::sqrt(2.0)) / 2;
}

}  // namespace

std::string_view name_of(ConfidenceClaim::Verdict verdict) {
  switch (verdict) {
    case ConfidenceClaim::Verdict::kConfirmed: return "confirmed";
    case ConfidenceClaim::Verdict::kRefuted: return "refuted";
    case ConfidenceClaim::Verdict::kUndecided: break;
  }
  return "undecided";
}

ConfidenceClaim judge_confidence_claim(std::vector<ConfidenceClaim::Case> cases, double confidence) {
  constexpr double kLevel = 0.05;
  double contradicted = 1, borne_out = 1;  // the least likely of either
  int64_t under = 0, over = 0, better_under = 0, better_over = 0, worse_over = 0, worse_under = 0;
  for (ConfidenceClaim::Case& one : cases) {
    one.under_confident = one.before.interval.high < 0;
    one.over_confident = one.before.interval.low > 0;
    one.calibration = compare(one.after, Worse::kHigher);
    const bool better = one.calibration == Comparison::kBetter, worse = one.calibration == Comparison::kWorse;
    under += one.under_confident ? 1 : 0, over += one.over_confident ? 1 : 0;
    better_under += one.under_confident && better ? 1 : 0, worse_under += one.under_confident && worse ? 1 : 0;
    if (one.over_confident && better) contradicted = std::min(contradicted, by_luck(one.after, confidence));
    if (one.under_confident && better) borne_out = std::min(borne_out, by_luck(one.after, confidence));
    better_over += one.over_confident && better ? 1 : 0, worse_over += one.over_confident && worse ? 1 : 0;
  }
  const auto all = static_cast<int64_t>(cases.size());
  ConfidenceClaim claim;
  const double least = kLevel / static_cast<double>(std::max<int64_t>(all, 1));
  if (contradicted < least)
    claim.verdict = ConfidenceClaim::Verdict::kRefuted;
  else if (borne_out < least && over > 0)
    claim.verdict = ConfidenceClaim::Verdict::kConfirmed;
  claim.reason = fmt::format(
      "of {} cases (models, and groups of their examples) the original was under-confident in {}, where calibration "
      "got "
      "better in {} and worse in {}, and over-confident in {}, where it got better in {} and worse in {}",
      all, under, better_under, worse_under, over, better_over, worse_over);
  claim.cases = std::move(cases);
  return claim;
}

}  // namespace vernier
