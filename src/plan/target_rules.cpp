#include "vernier/target_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

namespace vernier {

TargetRules TargetRules::with_codebooks() const {
  TargetRules rules = *this;
  rules.schemes.insert(rules.schemes.end(), codebooks.begin(), codebooks.end());
  rules.codebooks.clear();
  return rules;
}

std::string TargetRules::why_fixed(const TensorFacts& facts) const {
  if (!is_matrix(facts.role) || facts.shape.size() < 2)
    return "norms, biases and other vectors stay in " + fixed_scheme;
  if (std::find(fixed_roles.begin(), fixed_roles.end(), facts.role) != fixed_roles.end())
    return fmt::format("{} loads {} in {} only", target, role_name(facts.role), fixed_scheme);
  return "";
}

std::vector<std::string> TargetRules::schemes_for(const TensorFacts& facts) const {
  return why_fixed(facts).empty() ? schemes : std::vector<std::string>{fixed_scheme};
}

std::vector<std::vector<size_t>> TargetRules::tied(std::span<const TensorFacts> tensors) const {
  if (!one_scheme_per_tensor) return {};
  std::map<std::string, std::vector<size_t>> together;
  for (size_t i = 0; i < tensors.size(); ++i)
    if (!tensors[i].stored_in.empty() && why_fixed(tensors[i]).empty()) together[tensors[i].stored_in].push_back(i);
  std::vector<std::vector<size_t>> groups;
  for (auto& [name, group] : together)
    if (group.size() > 1) groups.push_back(std::move(group));
  std::sort(groups.begin(), groups.end());
  return groups;
}

}  // namespace vernier
