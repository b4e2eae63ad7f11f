#include "screen/token_rows.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "screen/labels.h"

namespace vernier {

namespace {

constexpr uint64_t kRowsStream = 0x526F7773;  // apart from the labels' random numbers

at::Tensor columns(const at::Tensor& rows, int64_t first, int64_t count) { return rows.narrow(1, first, count); }

/// Largest eigenvalue of x' x.
double largest_eigenvalue(const at::Tensor& rows) {
  const at::Tensor x = rows.contiguous();
  at::Tensor v = x.select(0, x.square().sum(1).argmax().item<int64_t>()).clone();  // not orthogonal to what matters
  double value = 0;
  for (int i = 0; i < 30; ++i) {
    const double norm = v.norm().item<double>();
    if (norm == 0) return 0;
    v = at::mv(x.t(), at::mv(x, v / norm));
    const double next = v.norm().item<double>();
    if (std::abs(next - value) <= 0.01 * next) return next;
    value = next;
  }
  return value;
}

}  // namespace

std::vector<int64_t> sample_rows(uint64_t seed, uint64_t window, int64_t rows, int64_t wanted) {
  std::vector<int64_t> all(static_cast<size_t>(rows));
  std::iota(all.begin(), all.end(), int64_t{0});
  if (rows <= wanted) return all;
  std::vector<double> key;
  for (int64_t r = 0; r < rows; ++r) key.push_back(uniform_at(seed ^ kRowsStream, window, static_cast<uint64_t>(r)));
  std::sort(all.begin(), all.end(),
            [&](int64_t a, int64_t b) { return key[static_cast<size_t>(a)] < key[static_cast<size_t>(b)]; });
  all.resize(static_cast<size_t>(wanted));
  std::sort(all.begin(), all.end());
  return all;
}

void TokenRows::add(size_t window, int64_t rows, const at::Tensor& own_inputs, const at::Tensor& own_gradients) {
  const int64_t kept = own_inputs.size(0);
  if (kept == 0) return;
  const double root = std::sqrt(static_cast<double>(rows) / static_cast<double>(kept));
  parts_[0].push_back(own_inputs * root);
  parts_[1].push_back(own_gradients * root);
  windows.insert(windows.end(), static_cast<size_t>(kept), window);
  entered += static_cast<double>(rows);
}

void TokenRows::finish() {
  if (parts_[0].empty()) return;
  inputs = at::cat(parts_[0], 0);
  gradients = at::cat(parts_[1], 0);
  for (auto& part : parts_) part.clear();
}

void add_row_sums(const TokenRows& rows, const WeightSlice& slice, const at::Tensor& error, RowSums& sums) {
  if (!rows.inputs.defined()) return;
  const at::Tensor d = error.narrow(0, slice.first_row, slice.rows).narrow(1, slice.first_col, slice.cols);
  const at::Tensor x = columns(rows.inputs, slice.first_col, slice.cols);
  const at::Tensor g = columns(rows.gradients, slice.first_row, slice.rows);
  const at::Tensor moved = at::mm(d, x.t());  // [out, rows]
  // Either order gives the same pairs; the narrower side in the middle costs less.
  const at::Tensor pairs = slice.rows <= slice.cols ? at::mm(g, moved) : at::mm(at::mm(g, d), x.t());
  const at::Tensor squares = pairs.square();
  const at::Tensor with_gradient = squares.sum(1, /*keepdim=*/false, at::kDouble);
  const at::Tensor with_input = squares.sum(0, /*keepdim=*/false, at::kDouble);
  const at::Tensor output = moved.square().sum(0, /*keepdim=*/false, at::kDouble);
  const double* by_gradient = with_gradient.data_ptr<double>();
  const double* by_input = with_input.data_ptr<double>();
  const double* by_output = output.data_ptr<double>();
  for (size_t r = 0; r < rows.windows.size(); ++r) {
    sums.kfac_twice[rows.windows[r]] += (by_gradient[r] + by_input[r]) / 2 / rows.entered;
    sums.output_error[rows.windows[r]] += by_output[r];
  }
}

double top_eigenvalue(const TokenRows& rows, const WeightSlice& slice) {
  if (!rows.inputs.defined()) return 0;
  return largest_eigenvalue(columns(rows.gradients, slice.first_row, slice.rows)) *
         largest_eigenvalue(columns(rows.inputs, slice.first_col, slice.cols)) / rows.entered;
}

}  // namespace vernier
