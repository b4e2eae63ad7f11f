#pragma once

// How much a choice of scheme may be wrong by, when damage is known up to a factor.

#include <cstddef>
#include <vector>

namespace vernier {

/// A scheme of one matrix, or of several that take the same: what it takes and what it is foretold to do.
struct Offer {
  double bytes = 0;
  double kl = 0;     ///< nats per token, times a factor that is not known
  double known = 0;  ///< nats per token beside it, whatever the factor
};

/// What is believed about true over foretold damage: a normal distribution of its logarithm.
struct FactorBelief {
  double log_mean = 0;
  double log_spread = 0;
};

/// The same of a sum of damages, each with a factor of its own: of its mean, and as wide as independent factors make it.
FactorBelief belief_of_sum(const FactorBelief& of_each, const std::vector<double>& parts);

/// The offer of least known + factor * kl + price * bytes. @param price nats per byte
size_t best_offer(const std::vector<Offer>& offers, double factor, double price);

/// Nats that knowing the factor would save on average against taking the best offer of the mean factor.
double expected_regret(const std::vector<Offer>& offers, const FactorBelief& belief, double price);

}  // namespace vernier
