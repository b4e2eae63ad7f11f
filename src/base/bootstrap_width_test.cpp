#include "base/bootstrap_width.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "base/sequential.h"

namespace vernier {
namespace {

TEST(BootstrapWidth, TailsReachFurtherTheLessThereIs) {
  EXPECT_NEAR(expanded_tail(0.95, 1000000), 0.025, 1e-5);
  double last = 0.025;
  for (const int64_t clusters : {100, 30, 10, 5, 2}) {
    EXPECT_LT(expanded_tail(0.95, clusters), last) << clusters;
    last = expanded_tail(0.95, clusters);
  }
  // By hand, n = 10: t_9(0.975) = 2.2622, times sqrt(10 / 9) = 2.3846; the normal distribution beyond that is 0.00855.
  EXPECT_NEAR(expanded_tail(0.95, 10), 0.00855, 1e-5);
  EXPECT_TRUE(holds_tail(0.00855, 1000));
  EXPECT_FALSE(holds_tail(0.00855, 200));
}

// All means of n of n numbers, drawn: what the reach of their own standard error is, they have too.
TEST(BootstrapWidth, ReachIsStudentsOfTheMean) {
  std::mt19937_64 random(7);
  const std::vector<double> sample{0.3, -1.2, 2.0, 0.4};
  double mean = 0, squares = 0;
  for (const double value : sample) mean += value / 4;
  for (const double value : sample) squares += (value - mean) * (value - mean);
  std::vector<double> draws;
  for (int draw = 0; draw < 40000; ++draw) {
    double sum = 0;
    for (size_t i = 0; i < sample.size(); ++i) sum += sample[random() % sample.size()];
    draws.push_back(sum / 4);
  }
  const double expected = student_quantile(0.975, 3) * std::sqrt(squares / 3 / 4);
  EXPECT_NEAR(student_reach(draws, 0.95, 4), expected, 0.01 * expected) << "a hundredth: 40,000 draws";
}

}  // namespace
}  // namespace vernier
