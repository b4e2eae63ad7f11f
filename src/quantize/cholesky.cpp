#include "quantize/cholesky.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "ops/nested_for.h"

namespace vernier {

namespace {

constexpr int64_t kBlock = 256;  // columns that are eliminated at once: what one thread does alone is of their cube
constexpr int64_t kTile = 512;   // rows and columns of what is left, a thread's

}  // namespace

bool cholesky_in_place(const at::Tensor& matrix, int threads) {
  const int64_t n = matrix.size(0);
  const auto tile = [&](int64_t begin) { return std::min(kTile, n - begin); };
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const int64_t width = std::min(kBlock, n - begin), end = begin + width;
    const at::Tensor columns = matrix.narrow(1, begin, width), own = columns.narrow(0, begin, width);
    const auto [lower, info] = at::linalg_cholesky_ex(own);
    // OpenBLAS does not mind NaN.
    if (info.item<int>() != 0 || !lower.diagonal().gt(0).all().item<bool>()) return false;
    own.copy_(lower);
    if (end == n) break;
    const at::Tensor upper = lower.t();
    nested_for((n - end + kTile - 1) / kTile, threads, [&](int64_t i) {
      const c10::NoGradGuard no_grad;
      const int64_t row = end + i * kTile;
      const at::Tensor below = columns.narrow(0, row, tile(row));
      below.copy_(at::linalg_solve_triangular(upper, below, /*upper=*/true, /*left=*/false));
    });
    std::vector<std::pair<int64_t, int64_t>> tiles;
    for (int64_t row = end; row < n; row += kTile)
      for (int64_t col = end; col <= row; col += kTile) tiles.emplace_back(row, col);
    nested_for(std::ssize(tiles), threads, [&](int64_t i) {
      const c10::NoGradGuard no_grad;
      const auto [row, col] = tiles[static_cast<size_t>(i)];
      matrix.narrow(0, row, tile(row))
          .narrow(1, col, tile(col))
          .addmm_(columns.narrow(0, row, tile(row)), columns.narrow(0, col, tile(col)).t(), 1, -1);
    });
  }
  return true;
}

}  // namespace vernier
