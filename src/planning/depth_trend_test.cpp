#include "planning/depth_trend.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "support/models.h"

namespace vernier {
namespace {

TEST(DepthTrend, FindsTheLineThatWasPutIn) {
  std::mt19937_64 random(5);
  std::normal_distribution<double> scatter(0, 0.3);
  std::vector<std::pair<double, double>> points;
  for (int i = 0; i < 400; ++i) {
    const double depth = i % 9 / 8.0 - 0.5;
    points.emplace_back(depth, 0.7 - 1.8 * depth + scatter(random));
  }
  const DepthTrend trend = fit_depth_trend(points);
  // Four standard errors: 0.3 / sqrt(400) of the level, over the depths' 0.32 of the slope.
  EXPECT_NEAR(trend.log_middle, 0.7, 0.06);
  EXPECT_NEAR(trend.log_slope, -1.8, 0.2);
  EXPECT_NEAR(trend.log_spread, 0.3, 0.05);
  EXPECT_NEAR(trend.factor_at(-0.5), std::exp(0.7 + 0.9), 0.1 * std::exp(1.6));
  EXPECT_NEAR(trend.belief_at(0.5).log_mean, 0.7 - 0.9, 0.12);
  EXPECT_NEAR(trend.belief_at(0.5).log_spread, 0.3, 0.05);
}

TEST(DepthTrend, FewPointsThatScatterHaveNoneToSpeakOf) {
  const DepthTrend trend = fit_depth_trend({{-0.5, 2.0}, {0.5, -1.8}, {-0.5, -2.1}, {0.5, 1.7}});
  EXPECT_LT(std::abs(trend.log_slope), 0.1);
  EXPECT_GT(trend.belief_at(0.5).log_spread, trend.belief_at(0.0).log_spread) << "less is known far from the middle";
  const DepthTrend three = fit_depth_trend({{-0.5, 2.0}, {0.0, 1.0}, {0.5, 0.0}});
  EXPECT_EQ(three.log_slope, 0);
  EXPECT_DOUBLE_EQ(three.log_middle, 1);
  EXPECT_DOUBLE_EQ(three.log_spread, 1);
  const DepthTrend level = fit_depth_trend({{0.25, 0.5}, {0.25, 0.5}, {0.25, 0.5}, {0.25, 0.5}});
  EXPECT_EQ(level.log_slope, 0);
  EXPECT_DOUBLE_EQ(level.factor_at(-0.5), std::exp(0.5));
  EXPECT_EQ(level.belief_at(0.5).log_spread, 0);
}

TEST(DepthTrend, DepthIsThatOfTheStack) {
  const Depths depths(load_model((source_dir() / "models/demo-5m").string()));
  EXPECT_EQ(depths.of(Stack::kOnly, 0), -0.5);
  EXPECT_EQ(depths.of(Stack::kOnly, 5), 0.5);
  EXPECT_EQ(depths.of(Stack::kOnly, -1), 0);
}

}  // namespace
}  // namespace vernier
