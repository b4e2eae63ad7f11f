#include <fmt/format.h>

#include <map>
#include <tuple>

#include "vernier/plan.h"

namespace vernier {

std::vector<std::string> fallback_lines(const Plan& plan) {
  std::map<std::tuple<std::string, std::string, int64_t>, int> counts;  // wanted, given, row length
  for (const PlanEntry& entry : plan.entries)
    if (!entry.wanted.empty()) ++counts[{entry.wanted, entry.scheme, entry.cols}];
  std::vector<std::string> lines;
  for (const auto& [key, count] : counts) {
    const auto& [wanted, given, cols] = key;
    lines.push_back(fmt::format("{} of {} tensors as {}: {} does not fit rows of {}", count, plan.entries.size(), given,
                                wanted, cols));
  }
  return lines;
}

}  // namespace vernier
