#include "groups/relation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace vernier {
namespace {

// Against R: lm(y ~ x), confint; x = 1..5, y = 2, 3, 5, 4, 7.
TEST(Relation, LineByHand) {
  const std::vector<double> x{1, 2, 3, 4, 5}, y{2, 3, 5, 4, 7};
  const Line line = fitted_line(x, y, 0.95);
  EXPECT_NEAR(line.slope, 1.1, 1e-12);
  EXPECT_NEAR(line.r_squared, 12.1 / 14.8, 1e-12);
  const double error = std::sqrt(2.7 / 3 / 10);
  EXPECT_NEAR(line.interval.high - line.slope, 3.182446 * error, 1e-5);
  EXPECT_TRUE(std::isnan(fitted_line(std::vector<double>{1, 1}, std::vector<double>{1, 2}, 0.95).slope));
  EXPECT_EQ(fitted_line(std::vector<double>{1, 2}, std::vector<double>{1, 2}, 0.95).interval.high, INFINITY);
}

TEST(Relation, RankIntervalByHand) {
  const ConfidenceInterval interval = rank_interval(0.5, 12, 0.95);
  const double reach = 1.959964 * std::sqrt(1.125 / 9);
  EXPECT_NEAR(interval.low, std::tanh(std::atanh(0.5) - reach), 1e-6);
  EXPECT_NEAR(interval.high, std::tanh(std::atanh(0.5) + reach), 1e-6);
  EXPECT_EQ(rank_interval(0.5, 4, 0.95).low, -INFINITY);
  EXPECT_GT(rank_interval(1, 10, 0.95).low, 0.9);
}

TEST(Relation, PermutationsOfFewAndMany) {
  const std::vector<double> few{1, 2, 3, 4, 5}, falling{5, 4, 3, 2, 1};
  EXPECT_NEAR(rank_p(few, falling), 2.0 / 120, 1e-12);
  std::vector<double> many, unrelated;
  for (int i = 0; i < 20; ++i) many.push_back(i), unrelated.push_back(i * 7 % 20);
  EXPECT_LT(rank_p(many, many), 1e-4);
  EXPECT_GT(rank_p(many, unrelated), 0.05);
}

// Wilson's interval of 9 of 10: 0.5958 to 0.9821.
TEST(Relation, ShareByWilson) {
  EXPECT_NEAR(share_interval(9, 10, 0.95).low, 0.5958, 1e-4);
  EXPECT_NEAR(share_interval(9, 10, 0.95).high, 0.9821, 1e-4);
  EXPECT_EQ(share_interval(0, 0, 0.95).high, 1);
}

}  // namespace
}  // namespace vernier
