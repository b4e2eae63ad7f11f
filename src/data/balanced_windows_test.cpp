#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "vernier/data.h"

namespace vernier {
namespace {

/// Documents of two windows each; window w holds token w.
EvaluationData documents(const std::vector<std::pair<std::string, int>>& groups) {
  EvaluationData data;
  data.name = "documents";
  data.context = 8;
  for (const auto& [group, count] : groups)
    for (int i = 0; i < count; ++i) {
      data.clusters.push_back({group, 10, -1});
      for (int w = 0; w < 2; ++w)
        data.windows.push_back(
            {{1, static_cast<int32_t>(data.windows.size())}, 0, static_cast<int64_t>(data.clusters.size()) - 1});
    }
  return data;
}

std::map<std::string, int64_t> windows_by_group(const EvaluationData& data) {
  std::map<std::string, int64_t> counts;
  for (const TokenWindow& w : data.windows) ++counts[data.clusters[static_cast<size_t>(w.cluster)].group];
  return counts;
}

TEST(BalancedWindows, EveryGroupGetsAsManyAndWhatSmallOnesLack) {
  const EvaluationData data = documents({{"large", 50}, {"small", 1}, {"middle", 6}});
  EXPECT_EQ(windows_by_group(balanced_windows(data, 12)),
            (std::map<std::string, int64_t>{{"large", 5}, {"small", 2}, {"middle", 5}}));
  EXPECT_EQ(windows_by_group(balanced_windows(data, 3)),
            (std::map<std::string, int64_t>{{"large", 1}, {"small", 1}, {"middle", 1}}));
}

TEST(BalancedWindows, AreSpreadOverTheGroupInItsOrder) {
  const EvaluationData few = balanced_windows(documents({{"a", 10}, {"b", 10}}), 8);
  std::vector<int32_t> tokens;
  for (const TokenWindow& w : few.windows) tokens.push_back(w.tokens[1]);
  EXPECT_THAT(tokens, ::testing::ElementsAre(0, 5, 10, 15, 20, 25, 30, 35));
}

TEST(BalancedWindows, AllOrMoreThanAllIsTheSame) {
  const EvaluationData data = documents({{"a", 3}, {"b", 2}});
  EXPECT_EQ(balanced_windows(data, 0).windows.size(), 10u);
  EXPECT_EQ(balanced_windows(data, 99).windows.size(), 10u);
}

TEST(BalancedWindows, CopiesPointAtTheFirstThatIsStillThere) {
  EvaluationData data = documents({{"a", 2}, {"b", 2}});
  data.clusters[1].same_as = 0;
  data.clusters[2].same_as = 0;
  const EvaluationData few = balanced_windows(data, 4);  // windows 0, 2 of a, 4, 6 of b
  ASSERT_EQ(few.clusters.size(), 4u);
  EXPECT_EQ(few.clusters[0].same_as, -1);
  EXPECT_EQ(few.clusters[1].same_as, 0);
  EXPECT_EQ(few.clusters[2].same_as, 0);
  data.clusters[0].group = "c";  // the first text's group has no window of its own here but the others do
  const EvaluationData others = balanced_windows(data, 3);
  for (const TokenWindow& w : others.windows)
    EXPECT_LT(others.distinct_cluster(w), static_cast<int64_t>(others.clusters.size()));
}

}  // namespace
}  // namespace vernier
