#pragma once

// The knapsack for several groups at once: the choice whose most damaged group is damaged least. For any weights of the
// groups (>= 0, sum 1) the weighted damage of a choice is at most that of its worst group, so that the ordinary knapsack
// of the weighted damages bounds what any choice can reach; the weights are moved towards the groups that its solution
// hurts most (subgradient ascent of a concave function), which raises the bound and visits choices near the best.
//
//   const MinimaxSolution s = minimize_worst_group(problem, damages);
//   print(s.knapsack.damage, s.knapsack.lower_bound, s.weights);

#include <cstdint>
#include <vector>

#include "vernier/plan.h"

namespace vernier {

/// [group][item][candidate of the problem's item], nats per token.
using GroupDamages = std::vector<std::vector<std::vector<double>>>;

struct MinimaxOptions {
  int iterations = 80;               ///< weighted knapsacks at most, beside one for each group
  uint64_t knapsack_nodes = 20'000;  ///< of each; bounds hold whatever it is
  uint64_t branch_nodes = 200'000;   ///< of the search that closes the gap; small problems are solved exactly
};

struct MinimaxSolution {
  /// damage and lower_bound are of the worst group; price_per_byte is of the damage in `weights`.
  KnapsackSolution knapsack;
  std::vector<double> weights;         ///< by group: those of the best bound
  std::vector<double> group_damage;    ///< by group, of the choice
  std::vector<double> least_possible;  ///< by group: proven, no choice within the budget has less
};

/// The problem with every candidate's damage in these weights.
KnapsackProblem weighted_problem(const KnapsackProblem& problem, const GroupDamages& damages,
                                 const std::vector<double>& weights);

/// By group, of a choice as KnapsackSolution::choice.
std::vector<double> damage_of_groups(const GroupDamages& damages, const std::vector<size_t>& choice);

/// What no choice within the budget can go below, for each group alone. @cost a knapsack for each
std::vector<double> least_possible_damage(const KnapsackProblem& problem, const GroupDamages& damages,
                                          const MinimaxOptions& options = {});

/// Damages in `problem` itself are not looked at. @throws Error{kInvalidArgument} as solve_knapsack, and for damages of
/// another shape than the problem
/// @source Lagrangian dual of the minimax programme, step lengths of Polyak (1969); then branch and bound by the same
///         relaxation
MinimaxSolution minimize_worst_group(const KnapsackProblem& problem, const GroupDamages& damages,
                                     const MinimaxOptions& options = {});

}  // namespace vernier
