#include "vernier/worst_choice.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <random>

#include "base/fail.h"
#include "base/statistics.h"

namespace vernier {

namespace {

/// Items that go together, and the index of each scheme that all of them have.
struct TiedItems {
  std::vector<size_t> items;
  std::vector<std::vector<size_t>> choices;  // [scheme][item]
};

size_t root_of(std::vector<size_t>& parent, size_t i) {
  while (parent[i] != i) i = parent[i] = parent[parent[i]];
  return i;
}

std::vector<TiedItems> groups_of_items(const KnapsackProblem& problem) {
  std::vector<size_t> parent(problem.items.size());
  std::iota(parent.begin(), parent.end(), size_t{0});
  for (const std::vector<size_t>& tied : problem.tied)
    for (const size_t item : tied) parent[root_of(parent, item)] = root_of(parent, tied.front());
  std::map<size_t, TiedItems> by_root;
  for (size_t i = 0; i < parent.size(); ++i) by_root[root_of(parent, i)].items.push_back(i);
  std::vector<TiedItems> groups;
  for (auto& [root, group] : by_root) {
    for (const Candidate& first : problem.items[group.items.front()].candidates) {
      std::vector<size_t> choice;
      for (const size_t item : group.items) {
        const auto& candidates = problem.items[item].candidates;
        const auto same = std::find_if(candidates.begin(), candidates.end(),
                                       [&](const Candidate& c) { return c.scheme == first.scheme; });
        if (same != candidates.end()) choice.push_back(static_cast<size_t>(same - candidates.begin()));
      }
      if (choice.size() == group.items.size()) group.choices.push_back(choice);
    }
    if (group.choices.empty())
      fail(ErrorKind::kInvalidArgument, "plan: {} and what is tied to it have no scheme in common",
           problem.items[group.items.front()].tensor);
    groups.push_back(std::move(group));
  }
  return groups;
}

struct GroupChoice {
  double bytes = 0, damage = 0;
};

GroupChoice cost_of(const KnapsackProblem& problem, const TiedItems& group, size_t choice) {
  GroupChoice cost;
  for (size_t k = 0; k < group.items.size(); ++k) {
    const Candidate& chosen = problem.items[group.items[k]].candidates[group.choices[choice][k]];
    cost.bytes += static_cast<double>(chosen.bytes);
    cost.damage += chosen.damage;
  }
  return cost;
}

}  // namespace

KnapsackSolution worst_choice(const KnapsackProblem& problem, uint64_t least_bytes) {
  KnapsackProblem mirrored = problem;
  uint64_t most_bytes = 0;
  double most_damage = 0;
  for (PlanItem& item : mirrored.items) {
    uint64_t bytes = 0;
    double damage = 0;
    for (const Candidate& c : item.candidates) bytes = std::max(bytes, c.bytes), damage = std::max(damage, c.damage);
    for (Candidate& c : item.candidates) c.bytes = bytes - c.bytes, c.damage = damage - c.damage;
    most_bytes += bytes;
    most_damage += damage;
  }
  KnapsackSolution worst;
  if (most_bytes < least_bytes) return worst;
  mirrored.budget_bytes = most_bytes - least_bytes;
  worst = solve_knapsack(mirrored);
  if (!worst.feasible) return worst;
  worst.bytes = 0;
  worst.damage = 0;
  for (size_t i = 0; i < worst.choice.size(); ++i) {
    worst.bytes += problem.items[i].candidates[worst.choice[i]].bytes;
    worst.damage += problem.items[i].candidates[worst.choice[i]].damage;
  }
  worst.lower_bound = most_damage - worst.lower_bound;
  return worst;
}

RandomChoices random_choices(const KnapsackProblem& problem, uint64_t bytes, int64_t count, uint64_t seed) {
  const std::vector<TiedItems> groups = groups_of_items(problem);
  std::mt19937_64 random(seed);
  const auto wanted = static_cast<double>(bytes);
  std::vector<double> damages;
  for (int64_t n = 0; n < count && !groups.empty(); ++n) {
    std::vector<GroupChoice> chosen;
    GroupChoice total;
    for (const TiedItems& group : groups) {
      chosen.push_back(cost_of(problem, group, random() % group.choices.size()));
      total.bytes += chosen.back().bytes, total.damage += chosen.back().damage;
    }
    for (size_t step = 0; step < 50 * groups.size() && std::abs(total.bytes - wanted) > 0.005 * wanted; ++step) {
      const size_t g = random() % groups.size();
      const GroupChoice other = cost_of(problem, groups[g], random() % groups[g].choices.size());
      const double moved = total.bytes - chosen[g].bytes + other.bytes;
      if (std::abs(moved - wanted) >= std::abs(total.bytes - wanted)) continue;
      total = {moved, total.damage - chosen[g].damage + other.damage};
      chosen[g] = other;
    }
    if (std::abs(total.bytes - wanted) <= 0.01 * wanted) damages.push_back(total.damage);
  }
  const Spread spread = spread_of(damages);
  return {spread.count, spread.mean, spread.min, spread.max, spread.standard_deviation};
}

}  // namespace vernier
