#include "planning/doubt.h"

#include <cmath>

namespace vernier {

namespace {
double cost(const Offer& offer, double factor, double price) {
  return offer.known + factor * offer.kl + price * offer.bytes;
}
}  // namespace

FactorBelief belief_of_sum(const FactorBelief& of_each, const std::vector<double>& parts) {
  double sum = 0, squares = 0;
  for (const double part : parts) {
    sum += part;
    squares += part * part;
  }
  if (sum <= 0) return of_each;
  const double variance = of_each.log_spread * of_each.log_spread;
  const double of_sum = std::log1p(squares / (sum * sum) * std::expm1(variance));
  return {of_each.log_mean + (variance - of_sum) / 2, std::sqrt(of_sum)};
}

size_t best_offer(const std::vector<Offer>& offers, double factor, double price) {
  size_t best = 0;
  for (size_t i = 1; i < offers.size(); ++i)
    if (cost(offers[i], factor, price) < cost(offers[best], factor, price)) best = i;
  return best;
}

double expected_regret(const std::vector<Offer>& offers, const FactorBelief& belief, double price) {
  if (offers.empty() || belief.log_spread <= 0) return 0;
  // The mean of a lognormal factor: damage is linear in it, so that this is what an undecided choice goes by.
  const double mean = std::exp(belief.log_mean + belief.log_spread * belief.log_spread / 2);
  const Offer& chosen = offers[best_offer(offers, mean, price)];
  constexpr int kPoints = 121;
  constexpr double kReach = 6;  // standard deviations
  double regret = 0, weights = 0;
  for (int i = 0; i < kPoints; ++i) {
    const double z = kReach * (2.0 * i / (kPoints - 1) - 1);
    const double weight = std::exp(-z * z / 2), factor = std::exp(belief.log_mean + z * belief.log_spread);
    regret += weight * (cost(chosen, factor, price) - cost(offers[best_offer(offers, factor, price)], factor, price));
    weights += weight;
  }
  return regret / weights;
}

}  // namespace vernier
