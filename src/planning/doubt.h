#pragma once

// How much a choice of scheme may be wrong by, when damage is known up to a factor.

#include <cstddef>
#include <vector>

namespace vernier {

/// A scheme of one matrix: what it takes and what it is foretold to do.
struct Offer {
  double bytes = 0;
  double kl = 0;  ///< nats per token
};

/// What is believed about true over foretold damage: a normal distribution of its logarithm.
struct FactorBelief {
  double log_mean = 0;
  double log_spread = 0;
};

/// The offer of least factor * kl + price * bytes. @param price nats per byte
size_t best_offer(const std::vector<Offer>& offers, double factor, double price);

/// Nats that knowing the factor would save on average against taking the best offer of the mean factor.
double expected_regret(const std::vector<Offer>& offers, const FactorBelief& belief, double price);

}  // namespace vernier
