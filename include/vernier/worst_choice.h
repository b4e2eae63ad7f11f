#pragma once

// How unlucky can a mix of schemes be? The choice of as many bytes as a plan that hurts most, and what choices at random
// cost: bits alone say little (arXiv 2510.02457, there of input-dependent policies learned against the model; here of
// plans, by predicted damage, proven).
//
//   KnapsackProblem problem{items, tied, Budget::parse("+10%").bytes(uniform_bytes, parameters, bytes_16bit)};
//   const KnapsackSolution best = solve_knapsack(problem), worst = worst_choice(problem, best.bytes);
//   print(worst.damage / best.damage, random_choices(problem, best.bytes, 1000, 1).mean);

#include <cstdint>

#include "vernier/plan.h"

namespace vernier {

/// The choice of most total damage among those of at least `least_bytes`, by the planner's own solver on the mirrored
/// problem: bytes below and damage below each item's greatest. The budget of `problem` is not looked at; lower_bound
/// is that of the mirrored one turned back, which no choice exceeds.
/// @throws Error as solve_knapsack; not feasible where not even the largest choice has so many bytes
KnapsackSolution worst_choice(const KnapsackProblem& problem, uint64_t least_bytes);

struct RandomChoices {
  int64_t count = 0;  ///< of those asked for, that came within 1% of the bytes
  double mean = 0, least = 0, most = 0, standard_deviation = 0;  ///< of total damage
};

/// Every group of tied items draws a scheme; then single groups draw again while that brings the bytes nearer.
/// @throws Error{kInvalidArgument} for groups without a common scheme
RandomChoices random_choices(const KnapsackProblem& problem, uint64_t bytes, int64_t count, uint64_t seed);

}  // namespace vernier
