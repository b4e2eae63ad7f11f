#pragma once

// Examples by the value of an attribute.

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "vernier/groups.h"

namespace vernier {

struct Partition {
  std::string name;
  std::vector<std::string> groups;  ///< sorted
  std::vector<int32_t> group_of;    ///< by example; -1: none
};

/// A partition per attribute, then those of every 2, 3 ... attributes crossed ("sex x age" with "f x old").
std::vector<Partition> partitions(const GroupedExamples& examples, int intersections);

/// Clusters as numbers from 0, in the order in which they appear.
std::vector<int32_t> cluster_numbers(const GroupedExamples& examples);

/// Exchanges group labels at random: clusters that hold one group each exchange theirs with each other, and within
/// clusters that hold several the examples do. Examples outside of all groups keep out.
class LabelPermuter {
 public:
  LabelPermuter(const Partition& partition, const std::vector<int32_t>& clusters);
  /// @return a group for each example
  const std::vector<int32_t>& permute(std::mt19937_64& random);

 private:
  struct Set {
    std::vector<std::vector<int64_t>> units;  // examples that change their group together
    std::vector<int32_t> groups;              // of each unit
  };
  std::vector<Set> sets_;
  std::vector<int32_t> group_of_;
};

}  // namespace vernier
