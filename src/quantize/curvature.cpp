#include "quantize/curvature.h"

#include <ATen/ATen.h>

#include "base/fail.h"

namespace vernier {

namespace {

constexpr double kIdle = 1e-6;  // of the mean: the diagonal of channels that were never active

/// Lower Cholesky factor; more is added to the diagonal until there is one.
at::Tensor lower_factor(at::Tensor matrix) {
  for (double more = 1e-8; more < 1; more *= 10) {
    const auto [lower, info] = at::linalg_cholesky_ex(matrix);
    if (info.item<int>() == 0) return lower;
    matrix = matrix + at::diag(matrix.diagonal() * more);
  }
  fail(ErrorKind::kInternal, "curvature: no Cholesky factor");
}

}  // namespace

Curvature curvature_of(const at::Tensor& gram, double shrink) {
  at::Tensor h = gram.to(at::kDouble);
  const double mean = h.diagonal().mean().item<double>();
  h = mean > 0 ? h / mean : at::eye(h.size(0), at::kDouble);
  const at::Tensor diagonal = h.diagonal().clamp_min(kIdle).clone();
  h.mul_(1 - shrink);
  h.diagonal().copy_(diagonal);
  const at::Tensor order = diagonal.argsort(/*dim=*/0, /*descending=*/true);
  const at::Tensor inverse = at::cholesky_inverse(lower_factor(h.index_select(0, order).index_select(1, order)));
  Curvature result;
  result.gram = h.to(at::kFloat).contiguous();
  result.order.assign(order.data_ptr<int64_t>(), order.data_ptr<int64_t>() + order.numel());
  result.feedback = lower_factor(inverse).t().to(at::kFloat).contiguous();
  return result;
}

}  // namespace vernier
