#include "groups/verdict.h"

#include <cmath>
#include <random>

#include "support/expect_error.h"

namespace vernier {
namespace {

TEST(Verdict, ThreeValuesInTheDirectionOfHarm) {
  const auto verdict = [](double low, double high, Worse worse) { return judge({low, high}, worse, 0.1); };
  EXPECT_EQ(verdict(0.11, 0.3, Worse::kHigher), Verdict::kExceeds);
  EXPECT_EQ(verdict(-5, 0.1, Worse::kHigher), Verdict::kWithin) << "better is within";
  EXPECT_EQ(verdict(0.05, 0.2, Worse::kHigher), Verdict::kUndecided);
  EXPECT_EQ(verdict(-0.3, -0.11, Worse::kLower), Verdict::kExceeds);
  EXPECT_EQ(verdict(-0.1, 5, Worse::kLower), Verdict::kWithin);
  EXPECT_EQ(verdict(-0.3, -0.11, Worse::kNeither), Verdict::kExceeds);
  EXPECT_EQ(verdict(0.11, 0.3, Worse::kNeither), Verdict::kExceeds);
  EXPECT_EQ(verdict(-0.1, 0.1, Worse::kNeither), Verdict::kWithin);
  EXPECT_EQ(verdict(-INFINITY, INFINITY, Worse::kHigher), Verdict::kUndecided);
  EXPECT_EQ(verdict(NAN, NAN, Worse::kHigher), Verdict::kUndecided);
  expect_error(ErrorKind::kInvalidArgument, {"tolerance"}, [] { judge({0, 1}, Worse::kHigher, -1); });
}

TEST(Verdict, PValuesCountTheValueItself) {
  const std::vector<double> null{1, 2, 3, 4, 5, 6, 7, 8, 9};
  EXPECT_DOUBLE_EQ(upper_p(null, 9.5), 0.1);
  EXPECT_DOUBLE_EQ(upper_p(null, 9), 0.2);
  EXPECT_DOUBLE_EQ(two_sided_p(null, 0), 0.2);
  EXPECT_DOUBLE_EQ(two_sided_p(null, 5), 1);
  EXPECT_DOUBLE_EQ(two_sided_p({}, 5), 1);
  EXPECT_DOUBLE_EQ(upper_p(null, NAN), 1);
}

TEST(Verdict, QuantilesAreLinear) {
  EXPECT_DOUBLE_EQ(quantile_of_sorted({1, 2, 4}, 0.5), 2);
  EXPECT_DOUBLE_EQ(quantile_of_sorted({1, 2, 4}, 0.75), 3);
  EXPECT_DOUBLE_EQ(quantile_of_sorted({1, 2, 4}, 1), 4);
  EXPECT_TRUE(std::isnan(quantile_of_sorted({}, 0.5)));
}

TEST(Verdict, AnEventNeverSeenMayStillHappen) {
  EXPECT_NEAR(unseen_share({0, 0, 0}, 0.95, 10), 1 - std::pow(0.025, 0.1), 1e-12);
  EXPECT_EQ(unseen_share({0, 0.1, 0}, 0.95, 10), 0);
  EXPECT_GT(unseen_share({0, 0, NAN}, 0.95, 10), 0);
}

TEST(Verdict, OneClusterHasNoInterval) {
  EXPECT_EQ(bootstrap_interval({1, 2, 3}, 0.95, 1).low, -INFINITY);
  EXPECT_EQ(bootstrap_interval({NAN}, 0.95, 9).high, INFINITY);
}

// Means of 8 normal numbers: plain percentiles would cover 90 %, Student's t widens them to 95.
TEST(Verdict, IntervalsOfSmallGroupsCover) {
  std::mt19937_64 random(3);
  std::normal_distribution<double> normal;
  constexpr int kRounds = 600, kSize = 8, kDraws = 400;
  int covered = 0;
  for (int round = 0; round < kRounds; ++round) {
    double sample[kSize];
    for (double& value : sample) value = normal(random);
    std::vector<double> draws;
    for (int draw = 0; draw < kDraws; ++draw) {
      double sum = 0;
      for (int i = 0; i < kSize; ++i) sum += sample[random() % kSize];
      draws.push_back(sum / kSize);
    }
    covered += bootstrap_interval(draws, 0.95, kSize).contains(0) ? 1 : 0;
  }
  const double share = static_cast<double>(covered) / kRounds;
  EXPECT_GT(share, 0.95 - 3 * std::sqrt(0.95 * 0.05 / kRounds));
  EXPECT_LT(share, 0.985);
}

}  // namespace
}  // namespace vernier
