#include "reliability/feature_spectrum.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/fail.h"

namespace vernier {

FeatureSpectrum::FeatureSpectrum(const at::Tensor& features) {
  const at::Tensor wide = features.to(at::kDouble);
  if (wide.dim() != 2 || wide.size(0) < 2)
    fail(ErrorKind::kInvalidArgument, "features: expected at least 2 examples, got {}",
         wide.dim() == 2 ? wide.size(0) : 0);
  mean_ = wide.mean(0);
  const at::Tensor deviations = wide - mean_;
  const auto [values, vectors] = at::linalg_eigh(at::matmul(deviations.t(), deviations));
  directions_ = vectors.flip(1).contiguous();  // eigenvalues rise
  const int64_t rank = std::min(wide.size(1), wide.size(0) - 1);
  for (int64_t first = 1, last = 1; first <= rank; first = last + 1, last *= 2)
    bands_.push_back({first, std::min(last, rank)});
}

at::Tensor FeatureSpectrum::centred(const at::Tensor& features) const { return features.to(at::kDouble) - mean_; }

at::Tensor FeatureSpectrum::energies(const at::Tensor& rows) const {
  const at::Tensor squares = at::matmul(rows.to(at::kDouble), directions_).square();
  std::vector<at::Tensor> sums;
  for (const Band& band : bands_) sums.push_back(squares.narrow(1, band.first - 1, band.last - band.first + 1).sum(1));
  return at::stack(sums, 1).contiguous();
}

at::Tensor FeatureSpectrum::kept(const at::Tensor& features, int64_t directions) const {
  const at::Tensor some = directions_.narrow(1, 0, std::min(directions, directions_.size(1)));
  return at::matmul(at::matmul(centred(features), some), some.t()) + mean_;
}

}  // namespace vernier
