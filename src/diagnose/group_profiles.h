#pragma once

// Component x group: is how a component's damage spreads over groups its own, or what every component does to them?

#include <cstdint>
#include <vector>

#include "base/json.h"
#include "diagnose/window_groups.h"
#include "vernier/diagnose.h"

namespace vernier {

struct ProfileOptions {
  int64_t permutations = 999;
  uint64_t seed = 1;
};

/// Damages differ by orders of magnitude between components and, less, between windows. What is left after both is the
/// residual r = x_cu / (m_c d_u): the KL per token x of component c in unit u, over the component's mean m_c, over the
/// unit's difficulty d_u (the mean of x_cu / m_c over the components). explained_share is the share of the variance of
/// r over units, by tokens, that lies between groups. Units change groups at random, all components' together, so that
/// what components have in common (a layer holds its heads) is in the null, too; the largest share over the components
/// makes p hold for all of them at once (Westfall and Young's max T).
/// @shape unit_kl [components][units of `groups`], sums in nats
/// @cost permutations * components * units
GroupProfiles group_profiles(const WindowGroups& groups, const std::vector<Component>& components,
                             const std::vector<std::vector<double>>& unit_kl, const ProfileOptions& options = {});

Json profiles_to_json(const GroupProfiles& profiles);
/// @throws Error{kBadFile} naming `origin` and the key
GroupProfiles profiles_from_json(const Json& json, const std::string& origin);
Json groups_of_damage_to_json(const std::map<std::string, GroupDamage>& groups);
std::map<std::string, GroupDamage> groups_of_damage_from_json(const Json& json, const std::string& origin);

}  // namespace vernier
