#include "groups/partition.h"

#include <algorithm>
#include <map>
#include <set>

namespace vernier {

namespace {

Partition partition_of(const std::string& name, const std::vector<std::string>& values) {
  Partition partition{name, {}, {}};
  std::map<std::string, int32_t> numbers;
  for (const std::string& value : values)
    if (!value.empty()) numbers[value] = 0;
  for (auto& [group, number] : numbers) {
    number = static_cast<int32_t>(partition.groups.size());
    partition.groups.push_back(group);
  }
  for (const std::string& value : values) partition.group_of.push_back(value.empty() ? -1 : numbers.at(value));
  return partition;
}

GroupAttribute crossed(const GroupAttribute& a, const GroupAttribute& b) {
  GroupAttribute both{a.name + " x " + b.name, {}};
  for (size_t i = 0; i < a.values.size(); ++i)
    both.values.push_back(a.values[i].empty() || b.values[i].empty() ? "" : a.values[i] + " x " + b.values[i]);
  return both;
}

}  // namespace

std::vector<Partition> partitions(const GroupedExamples& examples, int intersections) {
  struct Crossing {
    GroupAttribute attribute;
    size_t next = 0;  // the first attribute that it may still be crossed with
  };
  std::vector<Partition> all;
  std::vector<Crossing> level;
  for (size_t a = 0; a < examples.attributes.size(); ++a) level.push_back({examples.attributes[a], a + 1});
  for (int order = 1; order <= intersections && !level.empty(); ++order) {
    std::vector<Crossing> higher;
    for (const Crossing& crossing : level) {
      all.push_back(partition_of(crossing.attribute.name, crossing.attribute.values));
      if (order == intersections) continue;
      for (size_t a = crossing.next; a < examples.attributes.size(); ++a)
        higher.push_back({crossed(crossing.attribute, examples.attributes[a]), a + 1});
    }
    level = std::move(higher);
  }
  return all;
}

std::vector<int32_t> cluster_numbers(const GroupedExamples& examples) {
  std::vector<int32_t> numbers;
  std::map<int64_t, int32_t> known;
  for (int64_t i = 0; i < examples.count; ++i) {
    const int64_t cluster = examples.clusters.empty() ? i : examples.clusters[static_cast<size_t>(i)];
    numbers.push_back(known.try_emplace(cluster, static_cast<int32_t>(known.size())).first->second);
  }
  return numbers;
}

LabelPermuter::LabelPermuter(const Partition& partition, const std::vector<int32_t>& clusters)
    : group_of_(partition.group_of) {
  std::map<int32_t, std::vector<int64_t>> members;
  for (size_t i = 0; i < group_of_.size(); ++i)
    if (group_of_[i] >= 0) members[clusters[i]].push_back(static_cast<int64_t>(i));
  Set whole;
  for (const auto& [cluster, examples] : members) {
    std::set<int32_t> groups;
    for (const int64_t i : examples) groups.insert(group_of_[static_cast<size_t>(i)]);
    if (groups.size() == 1) {
      whole.units.push_back(examples);
      whole.groups.push_back(*groups.begin());
      continue;
    }
    Set within;
    for (const int64_t i : examples) {
      within.units.push_back({i});
      within.groups.push_back(group_of_[static_cast<size_t>(i)]);
    }
    sets_.push_back(std::move(within));
  }
  sets_.push_back(std::move(whole));
}

const std::vector<int32_t>& LabelPermuter::permute(std::mt19937_64& random) {
  for (Set& set : sets_) {
    for (size_t i = set.groups.size(); i > 1; --i) std::swap(set.groups[i - 1], set.groups[random() % i]);
    for (size_t u = 0; u < set.units.size(); ++u)
      for (const int64_t i : set.units[u]) group_of_[static_cast<size_t>(i)] = set.groups[u];
  }
  return group_of_;
}

}  // namespace vernier
