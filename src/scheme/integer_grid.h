#pragma once

// Uniform integer grids with bf16 scales, as compressed-tensors defines them: the stored (rounded) scale decides codes
// and values. Codes are kept with 2^(b-1) added, so that they are unsigned.
//
//   value = scale * (code - zero_point), symmetric: zero_point = 2^(b-1)

#include <cstdint>

namespace vernier {

enum class Symmetry : uint8_t {
  kSym,         ///< scale = absmax / ((2^b - 1) / 2), codes -2^(b-1) .. 2^(b-1) - 1 (compressed-tensors)
  kSymNoClip,   ///< spelled sym7: scale = absmax / (2^(b-1) - 1), codes as many below as above zero
  kAsymmetric,  ///< scale = (max - min) / (2^b - 1) with min <= 0 <= max, and an integer zero point of b bits
};

/// What a tensor, a row or a group of weights shares.
struct IntegerGrid {
  uint16_t scale = 0;  ///< bf16 bits
  int zero_point = 0;  ///< of unsigned codes
};

/// The grid that covers values from `min` <= 0 to `max` >= 0; any range that holds no value beyond rounding gets scale 1.
IntegerGrid fit_integer_grid(int bits, Symmetry symmetry, float min, float max);

}  // namespace vernier
