#pragma once

// What one scored example adds to the sums that metrics are made of.
//
// An example of text is a token with the next one as its label; its producer is TokenOutcomes. Examples of other tasks
// (an image with its class, a question with its choices) get a producer and measures of their own, and rows in the same
// table of metrics: sums, errors, JSON and tables do not ask where an outcome came from.

#include <cstdint>
#include <span>
#include <vector>

#include "ops/scored_tokens.h"

namespace vernier {

struct Measure {
  bool compares = false;  ///< with a reference: absent without one
  /// The value of a scored token. `kept` is what `keep` wrote for the same row.
  double (*of_token)(const ScoredToken& token, const int32_t* kept) = nullptr;
  /// What is found once in a reference's logits [vocabulary], however many models are compared with it.
  void (*keep)(const float* reference_logits, int64_t vocabulary, int32_t* kept) = nullptr;
  int64_t kept = 0;  ///< numbers that `keep` writes
};

// Of every scored token.
extern const Measure kNll;           ///< -log p(label), nats
extern const Measure kReferenceNll;  ///< the same of the reference
extern const Measure kKl;            ///< KL(reference || model), nats
extern const Measure kSameTop;       ///< 1 where both find the same token most likely

/// One value per measure that is produced, in the producer's order.
using ExampleOutcome = std::span<const double>;

/// Every measure of a token that some metric sums, each once; those that compare only when `compared`.
std::vector<const Measure*> token_measures(bool compared);

/// Produces the outcomes of one window's tokens, in the order of for_each_scored_token.
class TokenOutcomes {
 public:
  TokenOutcomes(const std::vector<const Measure*>& measures, int64_t rows);
  /// Valid until the next call.
  ExampleOutcome of(const ScoredToken& token);

 private:
  const std::vector<const Measure*>& measures_;
  std::vector<double> values_;
  std::vector<int32_t> kept_;  // [rows, kept_per_row_]
  size_t kept_per_row_ = 0;
};

}  // namespace vernier
