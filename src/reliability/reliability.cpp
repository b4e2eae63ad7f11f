#include "vernier/reliability.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace vernier {

namespace {

/// "71.20%" of a share, "0.4321 nats" of others.
std::string figure_text(double value, const std::string& unit, bool sign) {
  if (unit == "share") return sign ? fmt::format("{:+.2f}", 100 * value) : fmt::format("{:.2f}%", 100 * value);
  const std::string number = sign ? fmt::format("{:+.4f}", value) : fmt::format("{:.4f}", value);
  return unit.empty() || sign ? number : number + " " + unit;
}

/// Intervals are drawn about a value: of few examples they would end beyond what a share of right answers can be.
void bound_accuracies(Reliability& reliability) {
  const auto bound = [](ConfidenceInterval& interval, double least) {
    if (std::isfinite(interval.low)) interval.low = std::max(interval.low, least);
    if (std::isfinite(interval.high)) interval.high = std::min(interval.high, 1.0);
  };
  for (ReliabilityDimension& dimension : reliability.dimensions)
    for (ReliabilityRow& row : dimension.rows)
      if (row.key == "accuracy" || row.key == "control_accuracy")
        for (ComparedValue& value : row.models) {
          bound(value.interval, 0);
          bound(value.change_interval, -1);
        }
}

}  // namespace

std::string_view name_of(Comparison comparison) {
  switch (comparison) {
    case Comparison::kBetter: return "better";
    case Comparison::kWorse: return "worse";
    case Comparison::kUndecided: break;
  }
  return "undecided";
}

Comparison compare(const ComparedValue& value, Worse worse) {
  const ConfidenceInterval& interval = value.change_interval;
  if (worse == Worse::kNeither || !(interval.low > 0 || interval.high < 0)) return Comparison::kUndecided;
  return (interval.low > 0) == (worse == Worse::kHigher) ? Comparison::kWorse : Comparison::kBetter;
}

void add_headlines(Reliability& reliability) {
  bound_accuracies(reliability);
  for (ReliabilityDimension& dimension : reliability.dimensions) {
    if (dimension.summary.empty() || !dimension.headline.empty()) continue;
    int64_t of[3] = {0, 0, 0};
    for (const ReliabilityVerdict& verdict : dimension.summary) ++of[static_cast<size_t>(verdict.comparison)];
    dimension.headline =
        fmt::format("{}: better in {}, worse in {} and undecided in {} of {} {}.", dimension.name,
                    of[static_cast<size_t>(Comparison::kBetter)], of[static_cast<size_t>(Comparison::kWorse)],
                    of[static_cast<size_t>(Comparison::kUndecided)], dimension.summary.size(),
                    dimension.summary.size() == 1 ? "model" : "models");
  }
}

std::vector<ReliabilityVerdict> verdicts_of(const ReliabilityRow& row, const std::vector<std::string>& models,
                                            std::string_view what) {
  std::vector<ReliabilityVerdict> result;
  const char* points = row.unit == "share" ? " percentage points" : "";
  for (size_t m = 1; m < models.size(); ++m) {
    const ComparedValue& own = row.models[m];
    const Comparison comparison = compare(own, row.worse);
    result.push_back(
        {models[m], comparison,
         fmt::format("{}: {} {}: {} {} instead of {} ({}, {} to {}{})", models[m], what, name_of(comparison), row.name,
                     figure_text(own.value, row.unit, false), figure_text(row.models[0].value, row.unit, false),
                     figure_text(own.change, row.unit, true), figure_text(own.change_interval.low, row.unit, true),
                     figure_text(own.change_interval.high, row.unit, true), points)});
  }
  return result;
}

}  // namespace vernier
