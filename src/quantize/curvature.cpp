#include "quantize/curvature.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "base/fail.h"

namespace vernier {

namespace {

constexpr int64_t kMostRowsAtOnce = 32;
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

/// (1 - shrink) G + shrink diag(G) in float64, G with mean diagonal 1.
at::Tensor shrunk(const at::Tensor& gram, double shrink) {
  at::Tensor h = gram.to(at::kDouble);
  const double mean = h.diagonal().mean().item<double>();
  h = mean > 0 ? h / mean : at::eye(h.size(0), at::kDouble);
  const at::Tensor diagonal = h.diagonal().clamp_min(kIdle).clone();
  h.mul_(1 - shrink);
  h.diagonal().copy_(diagonal);
  return h;
}

/// U of H^-1 = U' U, H with rows and columns in `order`. No more matrices at once than it takes.
at::Tensor upper_factor(at::Tensor h, const at::Tensor& order) {
  h = h.index_select(0, order);
  h = h.index_select(1, order);
  h = lower_factor(std::move(h));
  h = at::cholesky_inverse(h);
  h = lower_factor(std::move(h));
  return h.t().contiguous();
}

std::vector<int64_t> numbers_of(const at::Tensor& order) {
  return {order.data_ptr<int64_t>(), order.data_ptr<int64_t>() + order.numel()};
}

/// Sets of columns that lie side by side, by falling sum of the diagonal.
at::Tensor falling_order(const at::Tensor& diagonal, int64_t joint_cols) {
  if (joint_cols == 1) return diagonal.argsort(/*dim=*/0, /*descending=*/true);
  const at::Tensor sets = diagonal.view({-1, joint_cols}).sum(1).argsort(/*dim=*/0, /*descending=*/true);
  return (sets.unsqueeze(1) * joint_cols + at::arange(joint_cols, at::kLong)).reshape({-1});
}

at::Tensor weights_of_sets(const at::Tensor& upper, int64_t joint_cols) {
  const int64_t sets = upper.size(0) / joint_cols;
  const at::Tensor own = upper.view({sets, joint_cols, sets, joint_cols}).diagonal(0, 0, 2).permute({2, 0, 1});
  return at::linalg_inv(own.contiguous()).square().sum(2).reshape({-1}).to(at::kFloat).contiguous();
}

}  // namespace

Curvature curvature_of(const at::Tensor& gram, double shrink, int64_t joint_cols) {
  at::Tensor h = shrunk(gram, shrink);
  const at::Tensor order = falling_order(h.diagonal().contiguous(), joint_cols).contiguous();
  Curvature result;
  result.gram = h.to(at::kFloat).contiguous();
  result.order = numbers_of(order);
  const at::Tensor upper = upper_factor(std::move(h), order);
  result.feedback = upper.to(at::kFloat);
  if (joint_cols > 1) result.set_weights = weights_of_sets(upper, joint_cols);
  return result;
}

OutputCurvature output_curvature_of(const at::Tensor& gram, double shrink) {
  const int64_t rows = gram.size(0), at_once = std::clamp<int64_t>(rows / 16, 1, kMostRowsAtOnce),
                blocks = (rows + at_once - 1) / at_once;
  OutputCurvature result;
  for (int64_t block = 0; block < blocks; ++block) {
    for (int64_t row = block; row < rows; row += blocks) result.order.push_back(row);
    result.block_ends.push_back(static_cast<int64_t>(result.order.size()));
  }
  result.feedback = upper_factor(shrunk(gram, shrink), at::tensor(result.order, at::kLong)).to(at::kFloat);
  return result;
}

}  // namespace vernier
