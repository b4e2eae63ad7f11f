#include "planning/doubt.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace vernier {
namespace {

const std::vector<Offer> kOffers = {{100, 0.5}, {200, 0.1}, {300, 0.02}};

TEST(Doubt, TheBestOfferWeighsBytesAgainstDamage) {
  EXPECT_EQ(best_offer(kOffers, 1, 0.1), 0u);
  EXPECT_EQ(best_offer(kOffers, 1, 0.002), 1u);
  EXPECT_EQ(best_offer(kOffers, 1, 0.0002), 2u);
  EXPECT_EQ(best_offer(kOffers, 100, 0.1), 1u);
}

TEST(Doubt, RegretIsThatOfDrawnFactors) {
  std::mt19937_64 random(7);
  for (const double price : {0.005, 0.003, 0.001}) {
    const FactorBelief belief{0.1, 0.4};
    std::lognormal_distribution<double> factors(belief.log_mean, belief.log_spread);
    const Offer& chosen = kOffers[best_offer(kOffers, std::exp(0.1 + 0.08), price)];
    double sum = 0, squares = 0;
    const int draws = 200000;
    for (int i = 0; i < draws; ++i) {
      const double f = factors(random);
      const Offer& best = kOffers[best_offer(kOffers, f, price)];
      const double regret = f * (chosen.kl - best.kl) + price * (chosen.bytes - best.bytes);
      sum += regret;
      squares += regret * regret;
    }
    const double mean = sum / draws, error = std::sqrt((squares / draws - mean * mean) / draws);
    // Four standard errors of the draws, and the quadrature's own, largest at the kinks of the integrand.
    EXPECT_NEAR(expected_regret(kOffers, belief, price), mean, 4 * error + 0.01 * mean) << price;
    EXPECT_GT(mean, 0) << price;
  }
}

TEST(Doubt, ASumIsLessInDoubtThanItsParts) {
  const FactorBelief each{0.2, 0.6};
  const FactorBelief one = belief_of_sum(each, {0.4});
  EXPECT_NEAR(one.log_mean, each.log_mean, 1e-12);
  EXPECT_NEAR(one.log_spread, each.log_spread, 1e-12);
  std::mt19937_64 random(3);
  std::lognormal_distribution<double> factors(each.log_mean, each.log_spread);
  const std::vector<double> parts = {0.3, 0.1, 0.1, 0.05};
  const FactorBelief sum = belief_of_sum(each, parts);
  const int draws = 200000;
  double mean = 0, square = 0;
  for (int i = 0; i < draws; ++i) {
    double factor = 0;
    for (const double part : parts) factor += part / 0.55 * factors(random);
    mean += factor / draws;
    square += factor * factor / draws;
  }
  // Mean and variance of a lognormal, within a percent of the drawn ones.
  const double expected = std::exp(sum.log_mean + sum.log_spread * sum.log_spread / 2);
  EXPECT_NEAR(expected, mean, 0.01 * mean);
  EXPECT_NEAR(std::expm1(sum.log_spread * sum.log_spread) * expected * expected, square - mean * mean,
              0.03 * (square - mean * mean));
}

TEST(Doubt, WhatIsKnownNoFactorChanges) {
  const std::vector<Offer> offers = {{100, 0.1, 0.5}, {200, 0.1, 0.1}};
  for (const double factor : {0.1, 1.0, 10.0}) EXPECT_EQ(best_offer(offers, factor, 0.001), 1u);
  EXPECT_EQ(expected_regret(offers, {0, 1}, 0.001), 0);
}

TEST(Doubt, WithoutDoubtOrChoiceThereIsNoRegret) {
  EXPECT_EQ(expected_regret(kOffers, {0, 0}, 0.004), 0);
  EXPECT_EQ(expected_regret({{100, 0.5}}, {0, 1}, 0.004), 0);
  EXPECT_EQ(expected_regret({}, {0, 1}, 0.004), 0);
}

}  // namespace
}  // namespace vernier
