#include "cli/group_damage_table.h"

#include <fmt/format.h>

#include "base/text_table.h"

namespace vernier {

namespace {

struct GroupTotal {
  double sum = 0;  ///< over matrices
  const ComponentDamage* matrix = nullptr;
  const ComponentDamage* part = nullptr;  ///< head, feed-forward: what is smaller than a layer and no matrix
};

GroupTotal total_of(const Diagnosis& d, const std::string& group) {
  GroupTotal total;
  for (const ComponentDamage& c : d.components) {
    const double kl = c.groups.at(group).kl.mean;
    const ComponentKind kind = c.component.kind;
    const auto take = [&](const ComponentDamage*& most) {
      if (most == nullptr || kl > most->groups.at(group).kl.mean) most = &c;
    };
    if (is_one_matrix(kind)) {
      total.sum += kl;
      take(total.matrix);
    } else if (kind != ComponentKind::kLayer) {
      take(total.part);
    }
  }
  return total;
}

std::string described(const ComponentDamage* damage, const std::string& group) {
  if (damage == nullptr) return "";
  const Measured& kl = damage->groups.at(group).kl;
  return fmt::format("{} ({:.5f} ± {})", name_of(damage->component), kl.mean, number_cell(kl.standard_error, 5));
}

}  // namespace

void print_groups(const Diagnosis& d, Console& console) {
  if (d.groups.empty()) return;
  TextTable table({"group", "windows", "tokens", "sum over matrices", "hurt most by the matrix", "and by the part"});
  for (const DiagnosedGroup& group : d.groups) {
    const GroupTotal total = total_of(d, group.name);
    table.add({group.name, fmt::format("{}", group.windows), fmt::format("{}", group.tokens),
               total.matrix == nullptr ? "-" : fmt::format("{:.5f}", total.sum), described(total.matrix, group.name),
               described(total.part, group.name)});
  }
  fmt::print(console.out, "\n{}", table.str(console.width()));
  if (!d.group_profiles || d.group_profiles->components.empty()) return;
  constexpr double kSure = 0.05;
  const GroupProfiles& profiles = *d.group_profiles;
  const GroupProfile& first = profiles.components.front();
  fmt::print(
      console.out, "component x group: p = {:.3g} over {} permutations of windows among groups: {}\n", profiles.p,
      profiles.permutations,
      profiles.p <= kSure ? "components do share their damage out differently" : "no more structure than noise makes");
  fmt::print(console.out,
             "the profile furthest from the mean one is that of {}: to {} it does {:.2f} times what all components "
             "together would make one expect (p = {:.3g} among all components{})\n",
             name_of(first.component), first.group, first.factor, first.p,
             first.p <= kSure ? "" : ": not more than noise");
}

}  // namespace vernier
