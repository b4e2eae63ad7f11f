#include "vernier/quantize_tensor.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/fail.h"
#include "ops/parallel.h"

namespace vernier {

namespace {

/// Runs fn(first row, rows) over ranges; the whole matrix at once when they depend on each other.
template <class Fn>
void for_row_ranges(bool independent, int64_t rows, int threads, Fn&& fn) {
  constexpr int64_t kRange = 32;
  if (!independent) return fn(int64_t{0}, rows);
  const int64_t ranges = (rows + kRange - 1) / kRange;
  parallel_for(ranges, threads, [&](int64_t i, int) { fn(i * kRange, std::min(kRange, rows - i * kRange)); });
}

struct Matrix {
  at::Tensor values;  // float32 contiguous
  int64_t rows, cols;

  Matrix(const Scheme& scheme, const at::Tensor& weight, const std::string& what)
      : values(weight.detach().to(at::kFloat).contiguous()), rows(weight.size(0)), cols(weight.size(1)) {
    if (const auto reason = scheme.why_not(rows, cols))
      fail(ErrorKind::kInvalidArgument, "quantize: {}: {}", what, *reason);
  }
  std::span<const float> range(int64_t first, int64_t count) const {
    return {values.data_ptr<float>() + first * cols, static_cast<size_t>(count * cols)};
  }
};

[[noreturn]] void name_tensor(const Error& e, const std::string& what) {
  throw Error(e.kind(), fmt::format("quantize: {}: {}", what, e.what()));
}

}  // namespace

std::vector<std::byte> quantize_bytes(const Scheme& scheme, const at::Tensor& weight,
                                      const std::vector<float>& importance, int threads, const std::string& what) {
  const Matrix matrix(scheme, weight, what);
  std::vector<std::byte> bytes(scheme.bytes(matrix.rows, matrix.cols));
  try {
    for_row_ranges(scheme.rows_in_sequence(), matrix.rows, threads, [&](int64_t first, int64_t count) {
      const uint64_t before = first == 0 ? 0 : scheme.bytes(first, matrix.cols);
      encode(scheme, matrix.range(first, count), count, matrix.cols, importance,
             std::span(bytes).subspan(before, scheme.bytes(count, matrix.cols)));
    });
  } catch (const Error& e) {
    name_tensor(e, what);
  }
  return bytes;
}

at::Tensor quantize_values(const Scheme& scheme, const at::Tensor& weight, const std::vector<float>& importance,
                           int threads, const std::string& what) {
  const Matrix matrix(scheme, weight, what);
  at::Tensor out = at::empty({matrix.rows, matrix.cols}, at::kFloat);
  try {
    for_row_ranges(scheme.rows_independent(), matrix.rows, threads, [&](int64_t first, int64_t count) {
      round_trip(scheme, matrix.range(first, count), count, matrix.cols, importance,
                 {out.data_ptr<float>() + first * matrix.cols, static_cast<size_t>(count * matrix.cols)});
    });
  } catch (const Error& e) {
    name_tensor(e, what);
  }
  return out;
}

}  // namespace vernier
