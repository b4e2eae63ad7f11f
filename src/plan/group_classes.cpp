#include "plan/group_classes.h"

#include <algorithm>

#include "plan/choice_class.h"

namespace vernier::internal {

namespace {

size_t index_of(const PlanItem& item, const std::string& scheme) {
  const auto it = std::find_if(item.candidates.begin(), item.candidates.end(),
                               [&](const Candidate& c) { return c.scheme == scheme; });
  return static_cast<size_t>(it - item.candidates.begin());
}

/// Not larger, and hurts no group more.
bool dominates(const GroupOption& a, const GroupOption& b) {
  if (a.bytes > b.bytes) return false;
  for (size_t g = 0; g < a.damage.size(); ++g)
    if (a.damage[g] > b.damage[g]) return false;
  return true;
}

}  // namespace

std::vector<GroupClass> group_classes(const KnapsackProblem& problem, const GroupDamages& damages) {
  std::vector<GroupClass> classes;
  for (const ChoiceClass& c : make_classes(problem)) {
    GroupClass& own = classes.emplace_back(GroupClass{c.members, {}});
    std::vector<GroupOption> all;
    for (const Option& option : c.available) {
      GroupOption with_groups{option.bytes, std::vector<double>(damages.size()), option.candidate};
      const std::string& scheme = problem.items[c.members.front()].candidates[option.candidate].scheme;
      for (const size_t member : c.members) {
        const size_t candidate = index_of(problem.items[member], scheme);
        for (size_t g = 0; g < damages.size(); ++g) with_groups.damage[g] += damages[g][member][candidate];
      }
      all.push_back(std::move(with_groups));
    }
    for (size_t i = 0; i < all.size(); ++i) {
      bool needed = true;  // of equals the first stays
      for (size_t j = 0; j < all.size() && needed; ++j)
        needed = j == i || !dominates(all[j], all[i]) || (j > i && dominates(all[i], all[j]));
      if (needed) own.options.push_back(all[i]);
    }
  }
  return classes;
}

std::vector<size_t> options_of(const std::vector<GroupClass>& classes, const KnapsackProblem& problem,
                               const std::vector<size_t>& choice) {
  std::vector<size_t> options;
  for (const GroupClass& c : classes) {
    const PlanItem& first = problem.items[c.members.front()];
    const std::string& scheme = first.candidates[choice[c.members.front()]].scheme;
    const auto it = std::find_if(c.options.begin(), c.options.end(),
                                 [&](const GroupOption& o) { return first.candidates[o.candidate].scheme == scheme; });
    if (it == c.options.end()) return {};  // dominated: another choice is as good
    options.push_back(static_cast<size_t>(it - c.options.begin()));
  }
  return options;
}

std::vector<size_t> choice_of(const std::vector<GroupClass>& classes, const KnapsackProblem& problem,
                              const std::vector<size_t>& options) {
  std::vector<size_t> choice(problem.items.size());
  for (size_t c = 0; c < classes.size(); ++c) {
    const PlanItem& first = problem.items[classes[c].members.front()];
    const std::string& scheme = first.candidates[classes[c].options[options[c]].candidate].scheme;
    for (const size_t member : classes[c].members) choice[member] = index_of(problem.items[member], scheme);
  }
  return choice;
}

}  // namespace vernier::internal
