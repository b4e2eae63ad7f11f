#pragma once

// Rotary position embedding (arXiv:2104.09864) with the context extensions that models ship: linear interpolation
// (2306.15595), llama3's frequency bands, yarn (2309.00071).

#include <cstdint>
#include <optional>
#include <vector>

#include "vernier/layer_config.h"

namespace vernier {

/// Angle per position of each of the head_dim / 2 pairs, in radians; float32 because the models were trained with
/// float32 angles, whose rounding at large positions is part of their definition.
std::vector<float> rope_frequencies(const RopeConfig& rope, int64_t head_dim);

/// cos and sin [positions, head_dim / 2] for positions 0 ..., times the attention factor.
struct RopeTable {
  RopeTable(const RopeConfig& rope, int64_t head_dim, int64_t positions);
  int64_t positions;
  int64_t half;
  std::vector<float> cos, sin;
};

/// Those of a model's layers: one for all, unless layers with a window rotate otherwise.
class RopeTables {
 public:
  /// `windowed`: of layers with a window, where it is another one.
  RopeTables(const RopeConfig& rope, const std::optional<RopeConfig>& windowed, int64_t head_dim, int64_t positions);
  const RopeTable& of(const AttentionConfig& attention) const {
    return attention.window > 0 && windowed_ ? *windowed_ : all_;
  }

 private:
  RopeTable all_;
  std::optional<RopeTable> windowed_;
};

}  // namespace vernier
