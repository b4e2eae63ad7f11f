#include "base/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

namespace vernier {
namespace {

TEST(Statistics, EqualClustersGiveTheStandardErrorOfTheMean) {
  const std::vector<double> sums{2, 4, 6, 8}, counts{2, 2, 2, 2};
  const Measured estimate = ratio_estimate(sums, counts);
  EXPECT_DOUBLE_EQ(estimate.mean, 2.5);
  const double sd = std::sqrt((2.25 + 0.25 + 0.25 + 2.25) / 3);  // of the cluster means 1, 2, 3, 4
  EXPECT_NEAR(estimate.standard_error, sd / 2, 1e-12);
}

TEST(Statistics, UnequalClustersAreWeightedByTokens) {
  const std::vector<double> sums{10, 0}, counts{10, 30};
  EXPECT_DOUBLE_EQ(ratio_estimate(sums, counts).mean, 0.25);
  EXPECT_TRUE(std::isnan(ratio_estimate(std::vector<double>{3}, std::vector<double>{2}).standard_error))
      << "one cluster tells nothing";
  EXPECT_DOUBLE_EQ(ratio_estimate({}, {}).mean, 0);
}

TEST(Statistics, SpreadIsTheSampleOne) {
  const Spread spread = spread_of(std::vector<double>{1, 3, 5});
  EXPECT_DOUBLE_EQ(spread.range(), 4);
  EXPECT_DOUBLE_EQ(spread.standard_deviation, 2);
  EXPECT_DOUBLE_EQ(spread.coefficient_of_variation(), 2.0 / 3);
}

TEST(Statistics, SpearmanKnowsTiesAndConstants) {
  const std::vector<double> up{1, 2, 3, 4}, bent{1, 8, 27, 64}, down{4, 3, 2, 1}, flat{1, 1, 1, 1}, tied{1, 2, 2, 3};
  EXPECT_DOUBLE_EQ(spearman(up, bent), 1);
  EXPECT_DOUBLE_EQ(spearman(up, down), -1);
  EXPECT_DOUBLE_EQ(spearman(up, flat), 0);
  EXPECT_NEAR(spearman(up, tied), 4.5 / std::sqrt(5 * 4.5), 1e-12);
}

TEST(Statistics, QuantileInterpolates) {
  std::vector<float> values{4, 1, 3, 2};
  EXPECT_DOUBLE_EQ(quantile(values, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(quantile(values, 1), 4);
}

TEST(Statistics, QuantilesAreLinear) {
  EXPECT_DOUBLE_EQ(quantile_of_sorted({1, 2, 4}, 0.5), 2);
  EXPECT_DOUBLE_EQ(quantile_of_sorted({1, 2, 4}, 0.75), 3);
  EXPECT_DOUBLE_EQ(quantile_of_sorted({1, 2, 4}, 1), 4);
  EXPECT_TRUE(std::isnan(quantile_of_sorted({}, 0.5)));
}

}  // namespace
}  // namespace vernier
