#include "screen/token_rows.h"
#include "base/counter_random.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace vernier {

namespace {

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

at::Tensor sample_rows(uint64_t seed, uint64_t window, RowSide side, const at::Tensor& rows, int64_t wanted) {
  const int64_t count = rows.size(0);
  if (count <= wanted) return rows;
  const at::Tensor squares = rows.square().sum(1, /*keepdim=*/false, at::kDouble).contiguous();
  const double total = squares.sum().item<double>();
  const double* square = squares.data_ptr<double>();
  std::vector<double> chance(static_cast<size_t>(count));
  for (int64_t r = 0; r < count; ++r)
    chance[static_cast<size_t>(r)] =
        total > 0 ? (square[r] / total + 1 / static_cast<double>(count)) / 2 : 1 / static_cast<double>(count);
  // Rows that are certain leave their surplus to the others.
  std::vector<bool> certain(chance.size());
  double left = static_cast<double>(wanted), scale = left;
  for (bool changed = true; changed;) {
    double rest = 0;
    for (size_t r = 0; r < chance.size(); ++r) rest += certain[r] ? 0 : chance[r];
    left = static_cast<double>(wanted - std::count(certain.begin(), certain.end(), true));
    scale = rest > 0 ? left / rest : 0;
    changed = false;
    for (size_t r = 0; r < chance.size(); ++r)
      if (!certain[r] && chance[r] * scale >= 1) certain[r] = changed = true;
  }
  std::vector<int64_t> kept;
  std::vector<float> roots;
  double sum = uniform_at(seed ^ static_cast<uint64_t>(side), window, static_cast<uint64_t>(count));
  for (size_t r = 0; r < chance.size(); ++r) {  // systematic: one random start, then every whole number
    const double own = certain[r] ? 1 : chance[r] * scale;
    sum += certain[r] ? 0 : own;
    if (!certain[r] && sum < 1) continue;
    if (!certain[r]) sum -= 1;
    kept.push_back(static_cast<int64_t>(r));
    roots.push_back(static_cast<float>(std::sqrt(1 / own)));
  }
  return rows.index_select(0, at::tensor(kept, at::kLong)) * at::tensor(roots).unsqueeze(1);
}

void TokenRows::add(size_t window, int64_t rows, const at::Tensor& own_inputs, const at::Tensor& own_gradients) {
  parts_[0].push_back(own_inputs);
  parts_[1].push_back(own_gradients);
  input_windows.insert(input_windows.end(), static_cast<size_t>(own_inputs.size(0)), window);
  gradient_windows.insert(gradient_windows.end(), static_cast<size_t>(own_gradients.size(0)), window);
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
  for (size_t r = 0; r < rows.gradient_windows.size(); ++r)
    sums.kfac_twice[rows.gradient_windows[r]] += by_gradient[r] / 2 / rows.entered;
  for (size_t r = 0; r < rows.input_windows.size(); ++r) {
    sums.kfac_twice[rows.input_windows[r]] += by_input[r] / 2 / rows.entered;
    sums.output_error[rows.input_windows[r]] += by_output[r];
  }
}

double top_eigenvalue(const TokenRows& rows, const WeightSlice& slice) {
  if (!rows.inputs.defined()) return 0;
  return largest_eigenvalue(columns(rows.gradients, slice.first_row, slice.rows)) *
         largest_eigenvalue(columns(rows.inputs, slice.first_col, slice.cols)) / rows.entered;
}

}  // namespace vernier
