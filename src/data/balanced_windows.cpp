#include <algorithm>
#include <map>

#include "data/windows_hash.h"
#include "vernier/data.h"

namespace vernier {

namespace {

/// How many of each group: an equal share, and what small groups leave to the others.
std::map<std::string, size_t> shares(const std::map<std::string, std::vector<size_t>>& groups, int64_t windows) {
  std::vector<std::pair<size_t, std::string>> by_size;
  for (const auto& [name, own] : groups) by_size.emplace_back(own.size(), name);
  std::sort(by_size.begin(), by_size.end());
  std::map<std::string, size_t> share;
  auto left = static_cast<size_t>(windows);
  for (size_t i = 0; i < by_size.size(); ++i) {
    const size_t others = by_size.size() - i;
    const size_t own = std::min(by_size[i].first, (left + others - 1) / others);
    share[by_size[i].second] = own;
    left -= std::min(left, own);
  }
  return share;
}

}  // namespace

EvaluationData balanced_windows(const EvaluationData& data, int64_t windows) {
  if (windows <= 0 || windows >= static_cast<int64_t>(data.windows.size())) return data;
  std::map<std::string, std::vector<size_t>> groups;
  for (size_t w = 0; w < data.windows.size(); ++w)
    groups[data.clusters[static_cast<size_t>(data.windows[w].cluster)].group].push_back(w);
  std::vector<size_t> chosen;
  for (const auto& [name, count] : shares(groups, windows)) {
    const std::vector<size_t>& own = groups.at(name);
    for (size_t i = 0; i < count; ++i) chosen.push_back(own[i * own.size() / count]);
  }
  std::sort(chosen.begin(), chosen.end());

  EvaluationData result{data.name, "", data.context, {}, {}};
  std::map<int64_t, int64_t> number_of, first_of_text;  // by number in `data`
  for (const size_t w : chosen) {
    TokenWindow window = data.windows[w];
    const auto number = static_cast<int64_t>(result.clusters.size());
    const auto [it, is_new] = number_of.try_emplace(window.cluster, number);
    if (is_new) {
      const auto [first, is_first] = first_of_text.try_emplace(data.distinct_cluster(window), number);
      result.clusters.push_back(data.clusters[static_cast<size_t>(window.cluster)]);
      result.clusters.back().same_as = is_first ? -1 : first->second;
    }
    window.cluster = it->second;
    result.windows.push_back(std::move(window));
  }
  result.hash = hash_windows(result);
  return result;
}

}  // namespace vernier
