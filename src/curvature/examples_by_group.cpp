#include "base/fail.h"
#include "vernier/curvature.h"

namespace vernier {

ExamplesByGroup examples_by_group(const EvaluationData& data) {
  ExamplesByGroup groups;
  for (size_t w = 0; w < data.windows.size(); ++w)
    groups[data.clusters[static_cast<size_t>(data.windows[w].cluster)].group].push_back(static_cast<int64_t>(w));
  return groups;
}

ExamplesByGroup examples_by_group(const GroupedExamples& examples, const std::string& attribute) {
  std::vector<std::string> names;
  for (const GroupAttribute& own : examples.attributes) {
    names.push_back(own.name);
    if (own.name != attribute) continue;
    ExamplesByGroup groups;
    for (size_t i = 0; i < own.values.size(); ++i)
      if (!own.values[i].empty()) groups[own.values[i]].push_back(static_cast<int64_t>(i));
    return groups;
  }
  fail(ErrorKind::kInvalidArgument, "curvature: {} has no attribute {}; it has {}", examples.name, attribute,
       fmt::join(names, ", "));
}

}  // namespace vernier
