#pragma once

// What follows the weights: better choices near one that is known, and the search that proves the best.

#include <cstdint>
#include <vector>

#include "plan/group_classes.h"

namespace vernier::internal {

/// Damage of the worst group.
double worst_of(const std::vector<double>& damage);
std::vector<double> group_sums(const std::vector<GroupClass>& classes, const std::vector<size_t>& options);

/// Exchanges of one option, or of two, while the worst group gains. @param weights, price rank the exchanges looked at
/// @cost a few passes over pairs of at most 500 exchanges
void improve_worst(const std::vector<GroupClass>& classes, uint64_t spare_bytes, const std::vector<double>& weights,
                   double price, std::vector<size_t>& options);

struct BranchResult {
  bool complete = false;        ///< false: stopped at the limit of nodes
  std::vector<size_t> options;  ///< empty when nothing beats `cutoff`
};
/// Every choice whose worst group is below `cutoff`, bounded by sum of weights * damage + price * bytes over the free
/// classes.
BranchResult branch_and_bound(const std::vector<GroupClass>& classes, uint64_t spare_bytes,
                              const std::vector<double>& weights, double price, double cutoff, uint64_t max_nodes);

}  // namespace vernier::internal
