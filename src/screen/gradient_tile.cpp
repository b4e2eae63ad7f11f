#include "screen/gradient_tile.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace vernier {

namespace {

int64_t rows_per_tile(int64_t cols) { return std::max<int64_t>(1, kGradientTile / cols); }

}  // namespace

int64_t GradientOf::tiles() const {
  const int64_t step = rows_per_tile(inputs.size(1));
  return (rows.size(1) + step - 1) / step;
}

GradientSums GradientOf::tile(int64_t index, at::Tensor& buffer) const {
  const int64_t cols = inputs.size(1), step = rows_per_tile(cols), first = index * step;
  const int64_t count = std::min(step, rows.size(1) - first);
  if (!buffer.defined() || buffer.numel() < count * cols) buffer = at::empty({count * cols});
  at::Tensor gradient = buffer.narrow(0, 0, count * cols).view({count, cols});
  at::mm_out(gradient, rows.narrow(1, first, count).t(), inputs);
  std::vector<const float*> own = errors;
  for (const float*& error : own)
    if (error != nullptr) error += first * cols;
  GradientSums sums;
  sums.resize(grid, errors.size(), channels);
  add_products(grid, first, count, gradient.data_ptr<float>(), own, sums);
  return sums;
}

GradientSums GradientOf::all(at::Tensor& buffer) const {
  GradientSums sums = tile(0, buffer);
  for (int64_t t = 1; t < tiles(); ++t) sums.add(tile(t, buffer));
  return sums;
}

}  // namespace vernier
