#pragma once

// A matrix' gradient of one sequence against the matrix' errors, a tile of its rows at a time: tiles are summed by
// themselves and then in their order, so that the sums have the same bits whoever made the tiles.

#include <ATen/core/Tensor.h>

#include <vector>

#include "screen/products.h"

namespace vernier {

/// Weights of a tile: what a core's cache may hold, whatever the matrix.
inline constexpr int64_t kGradientTile = int64_t{1} << 22;

/// What a matrix' gradient is made of: rows^T inputs. @shape rows [n, out], inputs [n, in], errors [out, in] by scheme
struct GradientOf {
  const SliceGrid& grid;
  at::Tensor rows, inputs;
  const std::vector<const float*>& errors;
  bool channels = false;

  int64_t tiles() const;
  /// Products of a tile, as if it were all. @param buffer scratch of the thread
  GradientSums tile(int64_t index, at::Tensor& buffer) const;
  /// Of all tiles.
  GradientSums all(at::Tensor& buffer) const;
};

}  // namespace vernier
