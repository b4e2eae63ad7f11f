#include "finetune/singular_band.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdlib>

namespace vernier {

SingularBand::SingularBand(const at::Tensor& weight, int64_t beside) : start_(weight.detach()) {
  const auto [left, singular, right] = at::linalg_svd(start_.to(at::kCPU), /*full_matrices=*/false);
  left_ = left.to(start_.options());
  right_ = right.to(start_.options());
  const int64_t count = std::min(start_.size(0), start_.size(1));
  band_ = at::zeros({2 * std::min(beside, count - 1) + 1, count}, start_.options()).set_requires_grad(true);
}

at::Tensor SingularBand::values() const {
  const int64_t beside = (band_.size(0) - 1) / 2, count = band_.size(1);
  at::Tensor middle = at::diag_embed(band_[beside]);
  for (int64_t offset = -beside; offset <= beside; ++offset)
    if (offset != 0)
      middle = middle + at::diag_embed(band_[beside + offset].narrow(0, 0, count - std::abs(offset)), offset);
  return start_ + at::matmul(at::matmul(left_, middle), right_);
}

}  // namespace vernier
