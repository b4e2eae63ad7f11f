// Is it only where the model was under-confident that quantizing it improves its calibration?

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "vernier/reliability.h"

namespace vernier {

namespace {

/// How likely so many or more of `cases` are decided one way where each is with 1/40.
double by_luck(int64_t count, int64_t cases) {
  constexpr double kEach = 0.025;
  double fewer = 0, term = std::pow(1 - kEach, static_cast<double>(cases));
  for (int64_t k = 0; k < count; ++k) {
    fewer += term;
    term *= static_cast<double>(cases - k) / static_cast<double>(k + 1) * kEach / (1 - kEach);
  }
  return std::max(0.0, 1 - fewer);
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

ConfidenceClaim judge_confidence_claim(std::vector<ConfidenceClaim::Case> cases) {
  constexpr double kLevel = 0.05;
  int64_t under = 0, over = 0, better_under = 0, better_over = 0, worse_over = 0, worse_under = 0;
  for (ConfidenceClaim::Case& one : cases) {
    one.under_confident = one.before.interval.high < 0;
    one.over_confident = one.before.interval.low > 0;
    one.calibration = compare(one.after, Worse::kHigher);
    const bool better = one.calibration == Comparison::kBetter, worse = one.calibration == Comparison::kWorse;
    under += one.under_confident ? 1 : 0, over += one.over_confident ? 1 : 0;
    better_under += one.under_confident && better ? 1 : 0, worse_under += one.under_confident && worse ? 1 : 0;
    better_over += one.over_confident && better ? 1 : 0, worse_over += one.over_confident && worse ? 1 : 0;
  }
  const auto all = static_cast<int64_t>(cases.size());
  const double contradicted = by_luck(better_over, all), borne_out = by_luck(better_under, all);
  ConfidenceClaim claim;
  if (better_over > 0 && contradicted < kLevel)
    claim.verdict = ConfidenceClaim::Verdict::kRefuted;
  else if (better_under > 0 && borne_out < kLevel && over > 0)
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
