// Intervals against what is known of means.

#include "reliability/paired_bootstrap.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace vernier {
namespace {

TEST(PairedBootstrap, IntervalsOfMeansAreThoseOfTheNormalDistribution) {
  std::mt19937_64 random(2);
  std::normal_distribution<double> normal;
  std::vector<double> a, b;
  for (int i = 0; i < 1000; ++i) {
    a.push_back(normal(random));
    b.push_back(a.back() + 0.1 * normal(random));
  }
  ReliabilityOptions options;
  options.bootstrap_draws = 4000;
  const std::vector<ComparedValue> found = PairedBootstrap({1000}, options).compare_means({a, b});
  const auto half = [](const ConfidenceInterval& interval) { return (interval.high - interval.low) / 2; };
  EXPECT_NEAR(half(found[0].interval), 1.96 / std::sqrt(1000), 0.006)
      << "a tenth, as 1,000 numbers and 4,000 draws allow";
  EXPECT_NEAR(half(found[1].change_interval), 0.196 / std::sqrt(1000), 0.0006) << "paired: ten times narrower";
  EXPECT_EQ(found[0].change, 0);
  EXPECT_TRUE(found[0].change_interval.contains(0));
}

TEST(PairedBootstrap, WhatNeverDiffersIsNotCertain) {
  const std::vector<double> all(50, 1.0);
  const std::vector<ComparedValue> found = PairedBootstrap({50}, {}).compare_means({all, all});
  EXPECT_NEAR(found[1].interval.low, 1 - (1 - std::pow(0.025, 1 / 50.0)), 1e-12);
  EXPECT_LT(found[1].change_interval.low, -0.05);
  EXPECT_EQ(compare(found[1], Worse::kLower), Comparison::kUndecided);
}

TEST(PairedBootstrap, ClustersAreDrawnTogether) {
  std::vector<double> values;
  std::vector<int32_t> clusters;
  for (int i = 0; i < 400; ++i) values.push_back(i / 40 % 2), clusters.push_back(i / 40);
  const auto width = [](const ComparedValue& v) { return v.interval.high - v.interval.low; };
  const double together = width(PairedBootstrap({}, {}, clusters).compare_means({values})[0]);
  const double apart = width(PairedBootstrap({400}, {}).compare_means({values})[0]);
  // Of 10 clusters as wide as Student's t: t_9 times sqrt(10 / 9), 2.385, where 400 examples have 1.97.
  EXPECT_NEAR(together / apart, std::sqrt(40) * 2.385 / 1.97, 1.5) << "what 1,000 draws hold of that tail";
}

TEST(PairedBootstrap, OfOneClusterNothingIsKnown) {
  const std::vector<double> before{0.2, 0.4, 0.1}, after{0.3, 0.6, 0.2};
  const std::vector<ComparedValue> found = PairedBootstrap({}, {}, {0, 0, 0}).compare_means({before, after});
  EXPECT_EQ(found[1].interval.high, INFINITY);
  EXPECT_EQ(compare(found[1], Worse::kHigher), Comparison::kUndecided);
}

// Differences of mean 0: of few clusters plain percentiles would decide in 49 %, 26 % and 15 % of the cases.
TEST(PairedBootstrap, FewClustersDecideAsSeldomAsMany) {
  std::mt19937_64 random(9);
  std::normal_distribution<double> normal;
  constexpr int kRounds = 1000;
  for (const size_t clusters : {2, 3, 5, 12}) {
    int decided = 0;
    ReliabilityOptions options;
    options.bootstrap_draws = 300;
    const PairedBootstrap bootstrap({clusters}, options);
    for (int round = 0; round < kRounds; ++round) {
      std::vector<double> before, after;
      for (size_t i = 0; i < clusters; ++i) {
        before.push_back(normal(random));
        after.push_back(before.back() + 0.1 * normal(random));
      }
      const ComparedValue change = bootstrap.compare_means({before, after})[1];
      decided += compare(change, Worse::kHigher) != Comparison::kUndecided ? 1 : 0;
    }
    EXPECT_NEAR(static_cast<double>(decided) / kRounds, 0.05, 0.025) << clusters << ": 300 draws, percentiles of 12";
  }
}

TEST(PairedBootstrap, StrataKeepTheirSizes) {
  const PairedBootstrap bootstrap({3, 5}, {});
  const auto found =
      bootstrap.compare({[](std::span<const double> w, std::span<double> out) { out[0] = w[0] + w[1] + w[2]; }}, 1);
  EXPECT_EQ(found[0][0].interval.low, 3);
  EXPECT_EQ(found[0][0].interval.high, 3);
}

TEST(Comparison, NeedsAnIntervalWithoutZeroAndADirection) {
  const ComparedValue up{1, {0, 2}, 1, {0.5, 1.5}};
  EXPECT_EQ(compare(up, Worse::kHigher), Comparison::kWorse);
  EXPECT_EQ(compare(up, Worse::kLower), Comparison::kBetter);
  EXPECT_EQ(compare(up, Worse::kNeither), Comparison::kUndecided);
  EXPECT_EQ(compare({1, {0, 2}, 1, {-0.5, 1.5}}, Worse::kHigher), Comparison::kUndecided);
}

}  // namespace
}  // namespace vernier
