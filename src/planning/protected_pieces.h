#pragma once

// The pieces that may be kept beside quantized matrices, in the order in which a rule chooses them.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "vernier/protect.h"
#include "vernier/scheme.h"

namespace vernier {

/// One matrix in the scheme, and what is known of its channels.
struct ProtectableMatrix {
  TensorId id;
  Scheme scheme;
  at::Tensor weight, error;                 ///< float32 [rows, cols]; error: quantized minus original
  at::Tensor mean_square;                   ///< of its inputs [cols]; undefined where it is looked up
  const ChannelScores* channels = nullptr;  ///< nullptr outside of the layers
  double foretold = 0, exact = 0;           ///< nats per token of the whole matrix; exact NaN where it was not measured
  uint64_t bytes = 0, bytes_16bit = 0;
};

/// Part of a matrix: -1 is all rows, or all columns.
struct ProtectedCells {
  size_t matrix = 0;
  int64_t row = -1, col = -1;
};

struct ProtectedPiece {
  double rank = 0;  ///< larger first
  uint64_t bytes = 0;
  std::vector<ProtectedCells> cells;
};

/// Bytes of a single kept weight and its column, and of where a row's begin.
inline constexpr uint64_t kOutlierBytes = 4, kOutlierRowBytes = 4, kColumnIndexBytes = 4;

/// In falling order; of single weights as many as `budget` bytes may hold. Empty where a rule has nothing to go by.
/// @param draw number of a random order
std::vector<ProtectedPiece> ordered_pieces(const Model& model, const std::vector<ProtectableMatrix>& matrices,
                                           const ProtectionRule& rule, uint64_t budget, uint64_t draw);

}  // namespace vernier
