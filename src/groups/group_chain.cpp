#include "vernier/group_chain.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "base/fail.h"
#include "base/sequential.h"
#include "base/statistics.h"
#include "groups/relation.h"

namespace vernier {

namespace {

/// The groups that have two figures.
struct Pairs {
  std::vector<double> x, y;

  template <class X, class Y>
  Pairs(const std::vector<ChainRecord>& records, const X& of_x, const Y& of_y) {
    for (const ChainRecord& record : records) {
      if (std::isnan(of_x(record)) || std::isnan(of_y(record))) continue;
      x.push_back(of_x(record));
      y.push_back(of_y(record));
    }
  }
};

auto figure(double ChainRecord::*member) {
  return [member](const ChainRecord& record) { return record.*member; };
}

bool varies(const std::vector<double>& values) {
  return std::any_of(values.begin(), values.end(), [&](double value) { return value != values[0]; });
}

/// @param sign of the correlation that is claimed
ChainStep correlated(const char* key, const char* claim, const Pairs& pairs, int sign, double confidence) {
  ChainStep step{.key = key, .claim = claim, .groups = static_cast<int64_t>(pairs.x.size())};
  if (step.groups < 2 || !varies(pairs.x) || !varies(pairs.y)) return step;
  step.correlation = spearman(pairs.x, pairs.y);
  step.interval = rank_interval(step.correlation, step.groups, confidence);
  step.p = rank_p(pairs.x, pairs.y);
  const Line line = fitted_line(pairs.x, pairs.y, confidence);
  step.slope = line.slope, step.slope_interval = line.interval, step.r_squared = line.r_squared;
  if (step.p > 1 - confidence) return step;
  const double low = sign > 0 ? step.interval.low : -step.interval.high;
  const double high = sign > 0 ? step.interval.high : -step.interval.low;
  step.verdict = low > 0 ? ClaimVerdict::kConfirmed : high < 0 ? ClaimVerdict::kRefuted : ClaimVerdict::kUndecided;
  return step;
}

ChainStep variance_falls(const std::vector<ChainRecord>& records, double confidence) {
  ChainStep step{.key = "variance_falls", .claim = "logits vary less in at least 80 % of groups"};
  int64_t fallen = 0;
  for (const ChainRecord& record : records) {
    step.groups += std::isnan(record.logit_variance_change) ? 0 : 1;
    fallen += record.logit_variance_change < 0 ? 1 : 0;
  }
  step.interval = share_interval(fallen, step.groups, confidence);
  if (step.groups == 0) return step;
  constexpr double kClaimed = 0.8;
  step.correlation = static_cast<double>(fallen) / static_cast<double>(step.groups);
  if (step.correlation >= kClaimed && step.interval.low > 0.5) step.verdict = ClaimVerdict::kConfirmed;
  if (step.interval.high < kClaimed) step.verdict = ClaimVerdict::kRefuted;
  return step;
}

/// Over the groups as a ratio of sums: single groups whose loss hardly changed would divide by almost nothing.
ChainStep rescaling_restores(const std::vector<ChainRecord>& records, double confidence) {
  const Pairs pairs(records, figure(&ChainRecord::loss_change), figure(&ChainRecord::rescaled_loss_change));
  ChainStep step{.key = "rescaling_restores",
                 .claim = "most of the lost loss returns when logits are rescaled, which changes no answer",
                 .groups = static_cast<int64_t>(pairs.x.size())};
  std::vector<double> restored;
  double lost = 0;
  for (size_t i = 0; i < pairs.x.size(); ++i) restored.push_back(pairs.x[i] - pairs.y[i]), lost += pairs.x[i];
  if (!(lost > 0)) return step;  // nothing to restore
  const Measured share = ratio_estimate(restored, pairs.x);
  step.correlation = share.mean;
  step.interval = interval_over_looks(share, step.groups, 1, confidence);
  constexpr double kMost = 0.5;
  if (step.interval.low > kMost) step.verdict = ClaimVerdict::kConfirmed;
  if (step.interval.high < kMost) step.verdict = ClaimVerdict::kRefuted;
  return step;
}

ChainStep expansion_foretells(const std::vector<ChainRecord>& records, double confidence) {
  ChainStep step = correlated(
      "expansion_foretells", "the second-order expansion foretells the excess loss, with a slope of 1 within a fifth",
      {records, figure(&ChainRecord::foretold_loss_change), figure(&ChainRecord::expanded_loss_change)}, 1, confidence);
  // Both are of the same examples, so that nothing but terms beyond the second order stands between them: a tenth at four
  // bits of a small model, which an interval of no width would call refuted.
  constexpr double kLeast = 0.8, kMost = 1.25;
  const ConfidenceInterval& slope = step.slope_interval;
  if (std::isfinite(slope.low)) {
    const bool near_one = slope.high >= kLeast && slope.low <= kMost;
    step.verdict = !near_one       ? ClaimVerdict::kRefuted
                   : slope.low > 0 ? ClaimVerdict::kConfirmed
                                   : ClaimVerdict::kUndecided;
  }
  return step;
}

/// That decide anything; correlations have no interval below it.
constexpr int64_t kFewestGroups = 5;

ClaimVerdict verdict_of_chain(std::span<const ChainStep> links) {
  bool all = true;
  for (const ChainStep& link : links) {
    if (link.verdict == ClaimVerdict::kRefuted) return ClaimVerdict::kRefuted;
    const bool needed = link.key == "variance_falls" || link.key == "variance_explains_loss";
    if (link.groups > 0 || needed) all &= link.verdict == ClaimVerdict::kConfirmed;
  }
  return all ? ClaimVerdict::kConfirmed : ClaimVerdict::kUndecided;
}

}  // namespace

std::string_view name_of(ClaimVerdict verdict) {
  switch (verdict) {
    case ClaimVerdict::kConfirmed: return "confirmed";
    case ClaimVerdict::kRefuted: return "refuted";
    case ClaimVerdict::kUndecided: break;
  }
  return "undecided";
}

ChainReport chain_test(const std::vector<ChainRecord>& records, double confidence) {
  if (!(confidence > 0.5 && confidence < 1))
    fail(ErrorKind::kInvalidArgument, "groups: confidence {}: expected one in (0.5, 1)", confidence);
  using R = ChainRecord;
  const auto link = [&](const char* key, const char* claim, double R::*x, double R::*y, int sign) {
    return correlated(key, claim, {records, figure(x), figure(y)}, sign, confidence);
  };
  ChainReport report;
  report.steps = {link("activations_lower_variance", "where activations change more, logits vary less",
                       &R::activation_change, &R::logit_variance_change, -1),
                  variance_falls(records, confidence),
                  link("variance_explains_loss", "where logits vary less, the loss rises more",
                       &R::logit_variance_change, &R::loss_change, -1),
                  rescaling_restores(records, confidence),
                  link("loss_explains_accuracy", "where the loss rises more, accuracy falls more", &R::loss_change,
                       &R::accuracy_change, -1)};
  const size_t links = report.steps.size();  // of the chain itself; what follows foretells who pays
  report.steps.push_back(
      link("gradient_foretells", "groups of a greater gradient pay more", &R::gradient_norm, &R::loss_change, 1));
  report.steps.push_back(
      link("curvature_foretells", "groups of a greater curvature pay more", &R::top_eigenvalue, &R::loss_change, 1));
  report.steps.push_back(expansion_foretells(records, confidence));
  report.steps.push_back(correlated(
      "minorities_pay", "smaller groups pay more",
      {records, [](const R& record) { return static_cast<double>(record.examples); }, figure(&R::loss_change)}, -1,
      confidence));
  for (ChainStep& step : report.steps)
    if (step.groups < kFewestGroups) step.verdict = ClaimVerdict::kUndecided;
  report.verdict = verdict_of_chain(std::span(report.steps).first(links));
  return report;
}

}  // namespace vernier
