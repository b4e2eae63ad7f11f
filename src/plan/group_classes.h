#pragma once

// The choices that minimax makes, with what each does to every group: options of tied items together, those that no
// weights make best left out.

#include <cstdint>
#include <vector>

#include "plan/minimax.h"

namespace vernier::internal {

struct GroupOption {
  uint64_t bytes = 0;          ///< above the smallest of its class
  std::vector<double> damage;  ///< by group
  size_t candidate = 0;        ///< of the class's first item
};

struct GroupClass {
  std::vector<size_t> members;  ///< items
  std::vector<GroupOption> options;
};

/// In the order of make_classes().
std::vector<GroupClass> group_classes(const KnapsackProblem& problem, const GroupDamages& damages);

/// An option per class from a candidate per item, and back.
std::vector<size_t> options_of(const std::vector<GroupClass>& classes, const KnapsackProblem& problem,
                               const std::vector<size_t>& choice);
std::vector<size_t> choice_of(const std::vector<GroupClass>& classes, const KnapsackProblem& problem,
                              const std::vector<size_t>& options);

}  // namespace vernier::internal
