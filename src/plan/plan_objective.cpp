#include "vernier/plan_objective.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/fail.h"

namespace vernier {

PlanObjective PlanObjective::parse(std::string_view text) {
  if (text == "mean") return {};
  if (text == "worst-group") return {Kind::kWorstGroup, {}};
  if (text == "weighted") return {Kind::kWeighted, {}};
  constexpr std::string_view kPrefix = "weighted:";
  const auto refuse = [&] {
    fail(ErrorKind::kInvalidArgument,
         "plan: objective \"{}\": expected mean, worst-group, weighted (by size) or weighted:GROUP=WEIGHT,... with "
         "weights above 0",
         text.substr(0, 200));
  };
  if (!text.starts_with(kPrefix)) refuse();
  PlanObjective objective{Kind::kWeighted, {}};
  std::string_view rest = text.substr(kPrefix.size());
  while (true) {
    const size_t comma = rest.find(',');
    const std::string pair(rest.substr(0, comma));
    const size_t sign = pair.rfind('=');  // a name may hold one
    if (sign == std::string::npos || sign == 0) refuse();
    double weight = 0;
    const char* const last = pair.data() + pair.size();
    const auto [end, error] = std::from_chars(pair.data() + sign + 1, last, weight);
    if (error != std::errc() || end != last || !(weight > 0) || !std::isfinite(weight) ||
        !objective.weights.emplace(pair.substr(0, sign), weight).second)
      refuse();
    if (comma == std::string_view::npos) return objective;
    rest.remove_prefix(comma + 1);
  }
}

std::string PlanObjective::text() const {
  if (kind == Kind::kMean) return "mean";
  if (kind == Kind::kWorstGroup) return "worst-group";
  std::string text = "weighted";
  for (const auto& [group, weight] : weights)
    text += fmt::format("{}{}={}", text == "weighted" ? ":" : ",", group, weight);
  return text;
}

void PlanObjective::require_groups(const std::vector<std::string>& known) const {
  if (kind == Kind::kMean) return;
  if (known.size() < 2)
    fail(ErrorKind::kInvalidArgument,
         "plan: objective {}: the damage is not known by group; diagnose with --data documents.jsonl, whose lines name "
         "groups, with NAME=FILE for each group, or for a model that sees with its manifest of images",
         text());
  for (const auto& [name, weight] : weights)
    if (std::find(known.begin(), known.end(), name) == known.end())
      fail(ErrorKind::kInvalidArgument, "plan: objective {}: there is no group {}, only {}", text(), name,
           fmt::join(known, ", "));
}

}  // namespace vernier
