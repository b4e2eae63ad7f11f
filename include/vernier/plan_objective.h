#pragma once

// What a plan makes least: the mean damage, that of the group that is hurt most, or a weighted mean of groups.
//
//   const PlanObjective objective = PlanObjective::parse("weighted:de=2,fr=1");

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace vernier {

struct PlanObjective {
  enum class Kind { kMean, kWorstGroup, kWeighted };
  Kind kind = Kind::kMean;
  /// Of kWeighted, relative to each other, > 0; a group that is not named counts nothing. Empty: every group by its tokens.
  std::map<std::string, double> weights{};

  /// "mean", "worst-group", "weighted" (by size) or "weighted:de=2,fr=1".
  /// @throws Error{kInvalidArgument} listing the spellings
  static PlanObjective parse(std::string_view text);
  /// As parse() reads it.
  std::string text() const;
  /// @throws Error{kInvalidArgument} where it is over groups and damage is known of fewer than two, or not of one that it names
  void require_groups(const std::vector<std::string>& known) const;
};

}  // namespace vernier
