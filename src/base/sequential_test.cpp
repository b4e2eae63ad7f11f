#include "base/sequential.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "base/statistics.h"

namespace vernier {
namespace {

// Tables of the distribution, to the digits they print.
TEST(StudentQuantile, IsThatOfTheTables) {
  EXPECT_NEAR(student_quantile(0.975, 1), 12.7062, 5e-5);
  EXPECT_NEAR(student_quantile(0.975, 3), 3.18245, 5e-6);
  EXPECT_NEAR(student_quantile(0.995, 3), 5.84091, 5e-6);
  EXPECT_NEAR(student_quantile(0.95, 7), 1.89458, 5e-6);
  EXPECT_NEAR(student_quantile(0.975, 30), 2.04227, 5e-6);
  EXPECT_NEAR(student_quantile(0.975, 1000000), 1.95997, 1e-5);
  EXPECT_NEAR(student_quantile(0.025, 3), -3.18245, 5e-6);
  EXPECT_NEAR(student_quantile(0.5, 5), 0, 1e-12);
}

TEST(IntervalOverLooks, OfASingleClusterHoldsEverything) {
  EXPECT_TRUE(interval_over_looks({1, NAN}, 1, 1).contains(1e300));
  EXPECT_TRUE(interval_over_looks({1, NAN}, 1, 1).contains(-1e300));
}

/// How often the interval at which an adaptive measurement stops holds the true mean. Damage of windows is skewed as the
/// exponential of a normal number is; it stops when the interval is narrower than a quarter of the mean.
double coverage(double sigma, int draws, bool share_the_error) {
  std::mt19937_64 random(20240607);
  std::lognormal_distribution<double> damage(0, sigma);
  const double truth = std::exp(sigma * sigma / 2);
  const std::vector<int> looks = {4, 8, 16, 32};
  int covered = 0;
  for (int draw = 0; draw < draws; ++draw) {
    std::vector<double> sums, counts;
    for (const int windows : looks) {
      while (static_cast<int>(sums.size()) < windows) {
        sums.push_back(255 * damage(random));
        counts.push_back(255);
      }
      const Measured mean = ratio_estimate(sums, counts);
      const ConfidenceInterval interval =
          interval_over_looks(mean, windows, share_the_error ? static_cast<int>(looks.size()) : 1);
      if (interval.high - interval.low > mean.mean / 2 && windows != looks.back()) continue;
      covered += interval.contains(truth);
      break;
    }
  }
  return static_cast<double>(covered) / draws;
}

// 4,000 draws: a share of 0.95 is known within 0.007 (two standard errors). Windows of real models scatter by 0.2 to 0.6.
TEST(IntervalOverLooks, CoverTheTruthWhereverMeasuringStops) {
  for (const double sigma : {0.2, 0.4, 0.6}) EXPECT_GE(coverage(sigma, 4000, true), 0.943) << sigma;
  EXPECT_LT(coverage(0.4, 4000, false), 0.943) << "plain intervals would not do, so that the test can fail";
}

}  // namespace
}  // namespace vernier
