#include "screen/gram.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace vernier {

namespace {
constexpr int64_t kTile = 256;  // rows of the sum; what lies left of a tile's diagonal block is not computed
}

GramSum::GramSum(int64_t width) : sum_(at::zeros({width, width})) {}

int64_t GramSum::tiles() const { return (width() + kTile - 1) / kTile; }

void GramSum::add(int64_t tile, std::span<const at::Tensor> rows) {
  const int64_t first = tile * kTile, count = std::min(kTile, width() - first);
  at::Tensor part = sum_.narrow(0, first, count).narrow(1, first, width() - first);
  for (const at::Tensor& x : rows)
    if (x.defined()) part.addmm_(x.narrow(1, first, count).t(), x.narrow(1, first, width() - first));
}

at::Tensor GramSum::upper() const { return sum_.to(at::kDouble); }

std::vector<double> eigenvalues(const at::Tensor& upper, int64_t rank) {
  const at::Tensor rising = at::linalg_eigvalsh(upper, "U").contiguous();
  const double* values = rising.data_ptr<double>();
  std::vector<double> falling;
  for (int64_t i = rising.numel(); i > 0; --i)
    falling.push_back(rising.numel() - i < rank ? std::max(values[i - 1], 0.0) : 0.0);
  return falling;
}

}  // namespace vernier
