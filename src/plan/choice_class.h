#pragma once

// The knapsack as its solver sees it: one class per tensor or tied group, with only those options that can be part of a
// best choice. Sizes are counted above the class's smallest option, so that "spare bytes" are what is left once
// everything is at its smallest.

#include <cstdint>
#include <limits>
#include <vector>

#include "vernier/plan.h"

namespace vernier::internal {

inline uint64_t saturating_add(uint64_t a, uint64_t b) {
  return a > std::numeric_limits<uint64_t>::max() - b ? std::numeric_limits<uint64_t>::max() : a + b;
}

struct Option {
  uint64_t bytes = 0;  ///< above the smallest option of the class
  double damage = 0;
  size_t candidate = 0;  ///< of the class's first member
};

struct ChoiceClass {
  std::vector<size_t> members;    ///< items, ascending
  uint64_t smallest_bytes = 0;    ///< of all members together; UINT64_MAX when beyond 64 bits
  std::vector<Option> options;    ///< bytes strictly up, damage strictly down
  std::vector<Option> available;  ///< all schemes open to the class, dominated ones too, in the first member's order
  std::vector<uint32_t> hull;     ///< indices into options on the lower convex hull, from the smallest on
};

/// Groups merged and dominated options dropped; classes ordered by first member. @throws Error{kInvalidArgument} as
/// solve_knapsack
std::vector<ChoiceClass> make_classes(const KnapsackProblem& problem);

/// Drops options above `spare_bytes` (none of them fits) and finds the hulls.
void restrict_and_hull(std::vector<ChoiceClass>& classes, uint64_t spare_bytes);

/// The class of each item, merged as one PlanItem: summed bytes and damages. Used to explain groups.
PlanItem merged_item(const KnapsackProblem& problem, const ChoiceClass& choice_class);

}  // namespace vernier::internal
