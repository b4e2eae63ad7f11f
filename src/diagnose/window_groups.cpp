#include "diagnose/window_groups.h"

#include <utility>

#include "diagnose/damage.h"

namespace vernier {

WindowGroups window_groups(const SweptWindows& windows) {
  WindowGroups groups;
  std::map<std::string, size_t> number_of;
  std::map<std::pair<size_t, int64_t>, size_t> unit_of;  // by group and cluster
  for (size_t w = 0; w < windows.clusters.size(); ++w) {
    const std::string& name = windows.groups[w];
    groups.unit_of_window.push_back(WindowGroups::kNone);
    if (name.empty()) continue;
    const auto [group, is_new] = number_of.try_emplace(name, groups.names.size());
    if (is_new) {
      groups.names.push_back(name);
      groups.windows.emplace_back();
    }
    groups.windows[group->second].push_back(w);
    const auto [unit, is_first] = unit_of.try_emplace({group->second, windows.clusters[w]}, groups.unit_tokens.size());
    if (is_first) {
      groups.unit_tokens.push_back(0);
      groups.group_of_unit.push_back(group->second);
    }
    groups.unit_of_window.back() = unit->second;
    groups.unit_tokens[unit->second] += static_cast<double>(windows.scored[w]);
  }
  return groups.names.size() < 2 ? WindowGroups{} : groups;
}

std::vector<DiagnosedGroup> diagnosed_groups(const SweptWindows& windows, const WindowGroups& groups) {
  std::vector<DiagnosedGroup> diagnosed;
  for (size_t g = 0; g < groups.names.size(); ++g) {
    diagnosed.push_back({groups.names[g], static_cast<int64_t>(groups.windows[g].size())});
    for (const size_t w : groups.windows[g]) diagnosed.back().tokens += windows.scored[w];
  }
  return diagnosed;
}

std::map<std::string, GroupDamage> damage_by_group(const SweptWindows& windows, const WindowGroups& groups,
                                                   const std::vector<DamageSums>& sums) {
  std::map<std::string, GroupDamage> damage;
  for (size_t g = 0; g < groups.names.size(); ++g) {
    const Damage own = summarize(windows.clusters, sums, groups.windows[g]);
    damage[groups.names[g]] = {own.kl, own.delta_nll};
  }
  return damage;
}

std::vector<double> kl_of_units(const WindowGroups& groups, const std::vector<DamageSums>& windows) {
  std::vector<double> kl(groups.unit_tokens.size());
  for (size_t w = 0; w < windows.size(); ++w)
    if (const size_t unit = groups.unit_of_window[w]; unit != WindowGroups::kNone) kl[unit] += windows[w].kl;
  return kl;
}

}  // namespace vernier
