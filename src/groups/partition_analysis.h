#pragma once

// One attribute's groups: values, intervals, nulls, verdicts.

#include <string_view>
#include <vector>

#include "groups/figures.h"
#include "groups/partition.h"

namespace vernier {

struct GroupProblem {
  const FigureValues& values;
  const std::vector<double>& weights;    // by example
  const std::vector<int32_t>& clusters;  // by example, from 0
  const GroupOptions& options;

  double tolerance_of(std::string_view key, double otherwise) const {
    const auto set = options.tolerance.find(key);
    return set == options.tolerance.end() ? otherwise : set->second;
  }
};

AttributeResult analyse_partition(const GroupProblem& problem, const Partition& partition);

}  // namespace vernier
