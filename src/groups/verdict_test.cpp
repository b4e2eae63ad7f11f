#include "groups/verdict.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>
#include <vector>

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

TEST(Verdict, WhatIsNoNumberIsInNoQuantile) {
  EXPECT_EQ(sorted_numbers({3, NAN, 1, 2}), (std::vector<double>{1, 2, 3}));
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

// Means of 8 normal numbers: plain percentiles would cover 90 %, Student's t widens them to 95. Of 5, and at the confidence
// that each of ten groups has to have, draws do not reach that far: their minimum and maximum would cover 98.2 for 99.5 %.
TEST(Verdict, IntervalsOfSmallGroupsCover) {
  std::mt19937_64 random(3);
  std::normal_distribution<double> normal;
  constexpr int kRounds = 2000, kDraws = 400;
  for (const auto& [size, confidence] : {std::pair{8, 0.95}, {5, 0.95}, {5, 0.995}}) {
    int covered = 0;
    for (int round = 0; round < kRounds; ++round) {
      std::vector<double> sample, draws;
      for (int i = 0; i < size; ++i) sample.push_back(normal(random));
      for (int draw = 0; draw < kDraws; ++draw) {
        double sum = 0;
        for (int i = 0; i < size; ++i) sum += sample[random() % sample.size()];
        draws.push_back(sum / size);
      }
      covered += bootstrap_interval(draws, confidence, size).contains(0) ? 1 : 0;
    }
    const double share = static_cast<double>(covered) / kRounds;
    EXPECT_GT(share, confidence - 3 * std::sqrt(confidence * (1 - confidence) / kRounds)) << size << " " << confidence;
    EXPECT_LT(share, 1 - 0.3 * (1 - confidence)) << size << " " << confidence;
  }
}

// A group five deviations out is found among two and among two hundred, by as many permutations; by one in twenty of those
// who have nothing to find is something found.
TEST(Verdict, ProbabilitiesOfAllGroupsAtOnceHold) {
  std::mt19937_64 random(5);
  std::normal_distribution<double> normal;
  for (const size_t groups : {size_t{2}, size_t{200}}) {
    std::vector<std::vector<double>> null(groups);
    for (size_t g = 0; g < groups; ++g)  // each with a mean and a deviation of its own
      for (int draw = 0; draw < 1000; ++draw) null[g].push_back(static_cast<double>(g) + (g % 3 + 1) * normal(random));
    constexpr int kRounds = 400;
    int found = 0;
    for (int round = 0; round < kRounds; ++round) {
      std::vector<double> values;
      for (size_t g = 0; g < groups; ++g) values.push_back(static_cast<double>(g) + (g % 3 + 1) * normal(random));
      const std::vector<double> p = adjusted_p(null, values);
      found += *std::min_element(p.begin(), p.end()) <= 0.05 ? 1 : 0;
      if (round > 0) continue;
      values[1] = 1 + 2 * 5.5;
      EXPECT_LT(adjusted_p(null, values)[1], 0.01) << groups;
    }
    EXPECT_NEAR(static_cast<double>(found) / kRounds, 0.05, 4 * std::sqrt(0.05 * 0.95 / kRounds)) << groups;
  }
  EXPECT_EQ(adjusted_p({{0, 0}, {1, 2}}, {0, NAN}), (std::vector<double>{1, 1})) << "nothing out of the ordinary";
}

}  // namespace
}  // namespace vernier
