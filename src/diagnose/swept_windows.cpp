#include "diagnose/swept_windows.h"

namespace vernier {

SweptWindows swept_windows(const EvaluationData& data) {
  SweptWindows windows;
  for (const TokenWindow& window : data.windows) {
    windows.clusters.push_back(data.distinct_cluster(window));
    windows.scored.push_back(window.scored());
    windows.groups.push_back(data.clusters[static_cast<size_t>(window.cluster)].group);
  }
  return windows;
}

SweptWindows swept_windows(const AnswerData& data) {
  SweptWindows windows{data.clusters, std::vector<int64_t>(data.clusters.size(), 1), data.groups};
  windows.groups.resize(data.clusters.size());
  return windows;
}

}  // namespace vernier
