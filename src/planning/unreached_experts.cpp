#include "planning/unreached_experts.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "vernier/component.h"

namespace vernier {

namespace {

constexpr const char* kUnreached = "unreached_experts";

using Damages = std::map<TensorId, std::map<std::string, double>>;
/// Experts' matrices of one role of one layer.
using Siblings = std::map<std::pair<int, TensorRole>, std::vector<TensorId>>;

Siblings siblings_of(const Damages& kl) {
  Siblings siblings;
  for (const auto& [id, schemes] : kl)
    if (id.expert >= 0) siblings[{id.layer, id.role}].push_back(id);
  return siblings;
}

bool was_reached(const std::map<std::string, double>& schemes) {
  return std::ranges::any_of(schemes, [](const auto& each) { return each.second > 0; });
}

/// By scheme, of those that are hurt at all.
std::map<std::string, double> least_of(const Damages& kl, const std::vector<TensorId>& ids) {
  std::map<std::string, double> least;
  for (const TensorId& id : ids)
    for (const auto& [scheme, value] : kl.at(id))
      if (value > 0 && (!least.contains(scheme) || value < least.at(scheme))) least[scheme] = value;
  return least;
}

void take_over(Damages& kl, const TensorId& id, const std::map<std::string, double>& least) {
  for (auto& [scheme, value] : kl.at(id))
    if (const auto found = least.find(scheme); found != least.end()) value = found->second;
}

}  // namespace

void fill_in_unreached(DamageTable& table) {
  std::set<std::pair<int, int>> experts;  // layer, index
  for (const auto& [place, ids] : siblings_of(table.kl)) {
    const std::map<std::string, double> least = least_of(table.kl, ids);
    if (least.empty()) continue;
    std::vector<std::map<std::string, double>> of_groups;
    for (const GroupDamageTable& group : table.groups) of_groups.push_back(least_of(group.kl, ids));
    for (const TensorId& id : ids) {
      if (was_reached(table.kl.at(id))) continue;
      take_over(table.kl, id, least);
      for (size_t g = 0; g < table.groups.size(); ++g) take_over(table.groups[g].kl, id, of_groups[g]);
      experts.emplace(id.layer, id.expert);
    }
  }
  for (const auto& [layer, index] : experts)
    table.provenance[kUnreached].push_back(name_of(Component{ComponentKind::kExpert, layer, index}));
}

std::string unreached_note(const DamageTable& table) {
  const auto found = table.provenance.find(kUnreached);
  if (found == table.provenance.end() || !found->is_array() || found->empty()) return {};
  constexpr size_t kNamed = 3;
  std::string names;
  for (size_t i = 0; i < std::min(kNamed, found->size()); ++i)
    if (const auto& name = (*found)[i]; name.is_string())
      names += fmt::format("{}{}", i > 0 ? ", " : "", name.get<std::string>());
  if (found->size() > kNamed) names += fmt::format(" and {} more", found->size() - kNamed);
  return fmt::format(
      "no token of the text came to {}: planned as if as sensitive as the least of their layer; calibrate and screen "
      "on "
      "more text",
      names);
}

}  // namespace vernier
