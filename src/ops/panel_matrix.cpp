#include "ops/panel_matrix.h"

#include <algorithm>

#include "base/fail.h"

namespace vernier {

namespace {

using Kernels = Avx512Kernels;

// Rows of a block are read again for every panel: they should leave room for it in the second-level cache.
constexpr int64_t kBlockBytes = 192 << 10;

}  // namespace

const Avx512Kernels* PanelMatrix::kernels_for(ComputeType type, int64_t out, int64_t in) {
  const bool fits = out > 0 && in > 0 && out % Kernels::kPanel == 0 && in % Kernels::kVector == 0;
  return fits ? avx512_kernels(type) : nullptr;
}

PanelMatrix::PanelMatrix(const Avx512Kernels& kernels, const void* weight, int64_t out, int64_t in, const float* bias)
    : kernels_(kernels), out_(out), row_words_(words_of(in)), words_(static_cast<size_t>(out * row_words_)) {
  const auto* source = static_cast<const uint32_t*>(weight);
  // A vector of words of each column at a time: what is written stays in the first-level cache.
  constexpr int64_t kStep = 8;
  for (int64_t first = 0; first < out; first += Kernels::kPanel) {
    uint32_t* panel = words_.data() + first * row_words_;
    for (int64_t w = 0; w < row_words_; w += kStep)
      for (int64_t j = 0; j < Kernels::kPanel; ++j) {
        const uint32_t* row = source + (first + j) * row_words_;
        for (int64_t i = w; i < w + kStep; ++i) panel[i * Kernels::kPanel + j] = row[i];
      }
  }
  if (bias != nullptr) bias_.assign(bias, bias + out);
}

int64_t PanelMatrix::rows_at_once(int64_t rows, int64_t bytes_per_row) {
  const int64_t most = std::max(Kernels::kRows, kBlockBytes / bytes_per_row);
  const int64_t blocks = std::max<int64_t>(1, (rows + most - 1) / most);
  const int64_t tiles = (rows + blocks * Kernels::kRows - 1) / (blocks * Kernels::kRows);
  return std::max<int64_t>(1, tiles) * Kernels::kRows;
}

WordRows PanelMatrix::rows(int64_t count, Arena& arena) const {
  return {reinterpret_cast<uint32_t*>(arena.floats(count * row_words_)), count, row_words_};
}

WordRows PanelMatrix::pack(const Slab& x, Arena& arena) const {
  if (words_of(x.cols) != row_words_)
    fail(ErrorKind::kInternal, "panels [{}, {}]: x [{}, {}]", out_, row_words_ * kernels_.values_per_word, x.rows,
         x.cols);
  const WordRows packed = rows(x.rows, arena);
  for (int64_t r = 0; r < x.rows; ++r) kernels_.pack_row(x.row(r), x.cols, packed.row(r));
  return packed;
}

Avx512Kernels::Panels PanelMatrix::panels(int64_t left, int64_t right) const {
  const auto words = [&](int64_t column) { return words_.data() + column * row_words_; };
  const auto bias = [&](int64_t column) { return bias_.empty() ? nullptr : bias_.data() + column; };
  return {words(left), words(right), bias(left), bias(right)};
}

void PanelMatrix::apply(const Slab& x, const Slab& y, bool accumulate, Arena& scratch) const {
  const int64_t step = rows_at_once(x.rows, row_words_ * static_cast<int64_t>(sizeof(uint32_t)));
  for (int64_t first = 0; first < x.rows; first += step) {
    const Arena::Scope scope(scratch);
    const int64_t count = std::min(step, x.rows - first);
    apply(pack(x.row_range(first, count), scratch), y.row_range(first, count), accumulate);
  }
}

void PanelMatrix::apply(const WordRows& x, const Slab& y, bool accumulate) const {
  if (x.row_words != row_words_ || y.cols != out_ || x.rows != y.rows)
    fail(ErrorKind::kInternal, "panels of {} words, {} outputs: x [{}, {} words], y [{}, {}]", row_words_, out_, x.rows,
         x.row_words, y.rows, y.cols);
  for (int64_t left = 0; left < out_; left += 2 * Kernels::kPanel) {
    const bool two = left + Kernels::kPanel < out_;
    const int64_t right = two ? left + Kernels::kPanel : left;
    Kernels::Panels both = panels(left, right);
    if (!two) both.right = nullptr;
    for (int64_t r = 0; r < x.rows; r += Kernels::kRows)
      kernels_.multiply_panels(x.row(r), row_words_, std::min(Kernels::kRows, x.rows - r), both, row_words_,
                               y.row(r) + left, y.row(r) + right, y.ld, accumulate);
  }
}

void PanelMatrix::apply_silu(const WordRows& x, const WordRows& y) const {
  const int64_t half = out_ / 2;
  if (!has_silu() || x.row_words != row_words_ || y.row_words != words_of(half) || x.rows != y.rows)
    fail(ErrorKind::kInternal, "gated panels of {} words, {} outputs: x [{}, {} words], y [{}, {} words]", row_words_,
         out_, x.rows, x.row_words, y.rows, y.row_words);
  for (int64_t column = 0; column < half; column += Kernels::kPanel) {
    const Kernels::Panels both = panels(column, half + column);
    for (int64_t r = 0; r < x.rows; r += Kernels::kRows)
      kernels_.multiply_silu(x.row(r), row_words_, std::min(Kernels::kRows, x.rows - r), both, row_words_,
                             y.row(r) + words_of(column), y.row_words);
  }
}

}  // namespace vernier
