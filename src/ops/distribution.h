#pragma once

// How far one next-token distribution is from another, from their logits, a tile of rows at a time: neither is ever
// stored for longer than a tile, so memory does not grow with the text.

#include <cstdint>

#include "ops/arena.h"

namespace vernier {

struct TokenDamage {
  float kl = 0;             ///< KL(reference || other), nats; 0 exactly when the logits are equal
  float nll = 0;            ///< -log p(label) of the other, nats
  float reference_nll = 0;  ///< -log p(label) of the reference, nats
  bool same_top = false;    ///< both rank the same token first
};

/// -log softmax(logits)[label] in nats.
float negative_log_likelihood(const float* logits, int64_t vocabulary, int32_t label);

/// A tile of reference logits with its probabilities, ready to be compared with many others.
class ReferenceTile {
 public:
  /// logits [rows, vocabulary] must outlive this; probabilities are put into `arena`.
  ReferenceTile(Arena& arena, const Slab& logits);

  /// KL is computed from the differences of the logits, as log sum p e^d - sum p d, so that it stays accurate far below
  /// the rounding error of either log-probability.
  TokenDamage compare(int64_t row, const float* logits, int32_t label) const;

 private:
  Slab logits_, probabilities_;
  float* log_total_;
  int64_t* top_;
};

/// Rows per tile such that a tile of logits stays around 4 MB, between 32 and 128.
int64_t logit_tile_rows(int64_t vocabulary);

}  // namespace vernier
