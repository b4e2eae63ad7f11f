#include "quantize/curvature.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <functional>

#include "base/fail.h"
#include "ops/nested_for.h"
#include "quantize/cholesky.h"

namespace vernier {

namespace {

constexpr int64_t kMostRowsAtOnce = 32;
constexpr int64_t kRowsOfAnItem = 128;
constexpr double kIdle = 1e-6;  // of the mean: the diagonal of channels that were never active

/// H = (1 - shrink) G + shrink diag(G) in float64, G with mean diagonal 1, entry by entry.
class ShrunkGram {
 public:
  ShrunkGram(const at::Tensor& gram, double shrink)
      : gram_(gram.to(at::kFloat).contiguous()),
        entries_(gram_.data_ptr<float>()),
        mean_(gram_.diagonal().mean(at::kDouble).item<double>()),
        kept_(1 - shrink) {}

  int64_t size() const { return gram_.size(0); }
  double operator()(int64_t i, int64_t j) const {
    const double entry = mean_ > 0 ? static_cast<double>(entries_[i * size() + j]) / mean_ : i == j ? 1.0 : 0.0;
    return i == j ? std::max(entry, kIdle) : entry * kept_;
  }
  at::Tensor diagonal() const {
    const at::Tensor all = at::empty({size()}, at::kDouble);
    for (int64_t i = 0; i < size(); ++i) all.data_ptr<double>()[i] = (*this)(i, i);
    return all;
  }

 private:
  const at::Tensor gram_;
  const float* const entries_;
  const double mean_, kept_;
};

void for_rows(int64_t rows, int threads, const std::function<void(int64_t row)>& fn) {
  nested_for((rows + kRowsOfAnItem - 1) / kRowsOfAnItem, threads, [&](int64_t task) {
    for (int64_t row = task * kRowsOfAnItem; row < std::min(rows, (task + 1) * kRowsOfAnItem); ++row) fn(row);
  });
}

/// L of H = L L', rows and columns in the reverse of `order`, in the lower triangle; more is added to the diagonal
/// until there is one.
at::Tensor reversed_factor(const ShrunkGram& h, const std::vector<int64_t>& order, int threads) {
  const int64_t n = h.size();
  const std::vector<int64_t> reversed(order.rbegin(), order.rend());
  at::Tensor lower = at::empty({n, n}, at::kDouble);
  for (double more = 0; more < 1; more = more == 0 ? 1e-8 : 10 * more) {
    for_rows(n, threads, [&](int64_t i) {
      double* row = lower.data_ptr<double>() + i * n;
      const int64_t from = reversed[static_cast<size_t>(i)];
      for (int64_t j = 0; j <= i; ++j) row[j] = h(from, reversed[static_cast<size_t>(j)]);
      row[i] *= 1 + more;
    });
    if (cholesky_in_place(lower, threads)) return lower;
  }
  fail(ErrorKind::kInternal, "curvature: no Cholesky factor");
}

/// The factor R of H = R R' in `order`, upper triangular.
class UpperFactor {
 public:
  UpperFactor(const ShrunkGram& h, const std::vector<int64_t>& order, int threads)
      : lower_(reversed_factor(h, order, threads)), entries_(lower_.data_ptr<double>()), last_(h.size() - 1) {}

  double operator()(int64_t i, int64_t j) const { return entries_[(last_ - i) * (last_ + 1) + last_ - j]; }

  /// M, R with columns divided by the diagonal.
  at::Tensor unit(int threads) const {
    const int64_t n = last_ + 1;
    at::Tensor result = at::zeros({n, n}, at::kFloat);
    std::vector<double> inverse(static_cast<size_t>(n));
    for (int64_t j = 0; j < n; ++j) inverse[static_cast<size_t>(j)] = 1 / (*this)(j, j);
    for_rows(n, threads, [&](int64_t i) {
      float* row = result.data_ptr<float>() + i * n;
      row[i] = 1;
      for (int64_t j = i + 1; j < n; ++j) row[j] = static_cast<float>((*this)(i, j) * inverse[static_cast<size_t>(j)]);
    });
    return result;
  }
  /// The diagonals of the blocks of R R' of columns that are chosen together.
  at::Tensor set_weights(int64_t joint_cols) const {
    at::Tensor weights = at::empty({last_ + 1}, at::kFloat);
    for (int64_t i = 0; i <= last_; ++i) {
      double sum = 0;
      for (int64_t j = i; j < (i / joint_cols + 1) * joint_cols; ++j) sum += (*this)(i, j) * (*this)(i, j);
      weights.data_ptr<float>()[i] = static_cast<float>(sum);
    }
    return weights;
  }

 private:
  const at::Tensor lower_;
  const double* const entries_;
  const int64_t last_;
};

/// Sets of columns that lie side by side, by falling sum of the diagonal.
std::vector<int64_t> falling_order(const at::Tensor& diagonal, int64_t joint_cols) {
  const at::Tensor sets = diagonal.view({-1, joint_cols}).sum(1).argsort(/*dim=*/0, /*descending=*/true);
  const at::Tensor order = (sets.unsqueeze(1) * joint_cols + at::arange(joint_cols, at::kLong)).contiguous();
  return {order.data_ptr<int64_t>(), order.data_ptr<int64_t>() + order.numel()};
}

at::Tensor tensor_of(const ShrunkGram& h, int threads) {
  at::Tensor result = at::empty({h.size(), h.size()}, at::kFloat);
  for_rows(h.size(), threads, [&](int64_t i) {
    float* row = result.data_ptr<float>() + i * h.size();
    for (int64_t j = 0; j < h.size(); ++j) row[j] = static_cast<float>(h(i, j));
  });
  return result;
}

}  // namespace

Curvature curvature_of(const at::Tensor& gram, double shrink, int64_t joint_cols, int threads) {
  const ShrunkGram h(gram, shrink);
  Curvature result;
  result.order = falling_order(h.diagonal(), joint_cols);
  {
    const UpperFactor factor(h, result.order, threads);
    result.feedback = factor.unit(threads);
    if (joint_cols > 1) result.set_weights = factor.set_weights(joint_cols);
  }
  result.gram = tensor_of(h, threads);
  return result;
}

OutputCurvature output_curvature_of(const at::Tensor& gram, double shrink, int threads) {
  const int64_t rows = gram.size(0), at_once = std::clamp<int64_t>(rows / 16, 1, kMostRowsAtOnce),
                blocks = (rows + at_once - 1) / at_once;
  OutputCurvature result;
  for (int64_t block = 0; block < blocks; ++block) {
    for (int64_t row = block; row < rows; row += blocks) result.order.push_back(row);
    result.block_ends.push_back(static_cast<int64_t>(result.order.size()));
  }
  result.feedback = UpperFactor(ShrunkGram(gram, shrink), result.order, threads).unit(threads);
  return result;
}

}  // namespace vernier
