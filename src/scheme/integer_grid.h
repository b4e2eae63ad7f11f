#pragma once

// Uniform integer grids with bf16 scales, as compressed-tensors defines them: the stored (rounded) scale decides codes
// and values. Codes are kept with 2^(b-1) added, so that they are unsigned.
//
//   value = scale * (code - zero_point), symmetric: zero_point = 2^(b-1)

#include <cstdint>
#include <span>

#include "vernier/scheme.h"

namespace vernier {

/// One grid: what a tensor, a row or a group of weights shares.
struct IntegerGrid {
  uint16_t scale = 0;  ///< bf16 bits
  int zero_point = 0;  ///< of unsigned codes
  int lowest = 0;      ///< the smallest code in use: 1 for sym7, else 0
  int highest = 0;     ///< 2^b - 1
};

/// The grid that covers values from `min` to `max`; any range that holds no value beyond rounding gets scale 1.
IntegerGrid fit_integer_grid(int bits, Symmetry symmetry, float min, float max);
/// round(x / scale) + zero_point, clamped. @shape codes as values
void choose_codes(const IntegerGrid& grid, std::span<const float> values, std::span<uint8_t> codes);
void decode_codes(const IntegerGrid& grid, std::span<const uint8_t> codes, std::span<float> values);

/// Whole weights; layout as StoredParts. Shapes have been checked.
void encode_integers(const Scheme& scheme, std::span<const float> weight, int64_t rows, int64_t cols,
                     std::span<std::byte> out);
void decode_integers(const Scheme& scheme, std::span<const std::byte> stored, int64_t rows, int64_t cols,
                     std::span<float> weight);

}  // namespace vernier
