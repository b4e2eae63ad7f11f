#pragma once

// The scored tokens of one window, one after the other: logits of a reference and of what is compared with it are made a
// tile of rows at a time, compared, and gone.

#include <cstdint>
#include <functional>
#include <span>

#include "ops/arena.h"
#include "ops/distribution.h"

namespace vernier {

/// Logits [count, vocabulary] of the scored rows first ... first + count - 1, in memory that lasts as long as the tile.
using TileLogits = std::function<Slab(int64_t first, int64_t count)>;

/// One scored token as one model sees it.
struct ScoredToken {
  size_t model = 0;    ///< index of the model that is compared
  int64_t row = 0;     ///< of the scored rows of the window
  int32_t label = 0;   ///< the token that comes next
  TokenDamage damage;  ///< without a reference only nll means anything
  int64_t vocabulary = 0;
  const float* logits = nullptr;            ///< [vocabulary]
  const float* reference_logits = nullptr;  ///< [vocabulary]; nullptr without a reference
};

/// Calls `visit` for every row and model: tile by tile, within a tile model by model, within a model in order of rows.
/// @param labels the token after each scored row
/// @param reference empty for none
/// @cost memory for the logits of two tiles and one tile of probabilities
void for_each_scored_token(Arena& arena, std::span<const int32_t> labels, int64_t vocabulary,
                           const TileLogits& reference, std::span<const TileLogits> models,
                           const std::function<void(const ScoredToken&)>& visit);

}  // namespace vernier
