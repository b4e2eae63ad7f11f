#pragma once

// Which group each window belongs to, whatever the windows are (parts of texts, documents, one example each), and the
// damage of one component by group: the sums of a sweep are by window, so that one pass scores all groups.

#include <map>
#include <string>
#include <vector>

#include "diagnose/swept_windows.h"
#include "engine/sweep.h"
#include "vernier/diagnose.h"

namespace vernier {

struct WindowGroups {
  std::vector<std::string> names;              ///< by first appearance; empty where there are fewer than two
  std::vector<std::vector<size_t>> windows;    ///< by group
  static constexpr size_t kNone = ~size_t{0};  ///< of a window without a group
  // A unit is what permutations and errors are over: the windows of one group with the same cluster.
  std::vector<size_t> unit_of_window;  ///< kNone where the window has no group
  std::vector<size_t> group_of_unit;
  std::vector<double> unit_tokens;  ///< scored
};

WindowGroups window_groups(const SweptWindows& windows);

std::vector<DiagnosedGroup> diagnosed_groups(const SweptWindows& windows, const WindowGroups& groups);

std::map<std::string, GroupDamage> damage_by_group(const SweptWindows& windows, const WindowGroups& groups,
                                                   const std::vector<DamageSums>& sums);

/// Sums in nats, by unit.
std::vector<double> kl_of_units(const WindowGroups& groups, const std::vector<DamageSums>& windows);

}  // namespace vernier
