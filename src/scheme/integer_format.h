#pragma once

// The integer schemes' parameters, for those that really mean an integer grid (compressed-tensors' configuration).
//
//   if (const auto integers = integer_parameters(scheme)) config["num_bits"] = integers->bits;
//
// Their parts: weight_packed, per row ceil(cols * b / 32) little-endian int32 words; weight_scale, bf16 [rows, groups];
// asymmetric ones also weight_zero_point, int32 words [ceil(rows * b / 32), groups], packed along the rows.

#include <optional>

#include "scheme/integer_grid.h"
#include "vernier/scheme.h"

namespace vernier {

/// How many weights share one scale.
enum class Granularity : uint8_t { kTensor, kChannel, kGroup };

struct IntegerParameters {
  int bits = 0;
  Granularity granularity = Granularity::kChannel;
  Symmetry symmetry = Symmetry::kSym;
  int64_t group = 0;  ///< 0 unless the granularity is kGroup

  /// Weights per scale along a row.
  int64_t group_size(int64_t cols) const { return granularity == Granularity::kGroup ? group : cols; }
};

/// Nothing for other schemes.
std::optional<IntegerParameters> integer_parameters(const Scheme& scheme);

}  // namespace vernier
