#include "screen/products.h"

#include <algorithm>
#include <cstring>

// Compiled once per instruction set; sixteen sums side by side have one order in all of them, which the compiler keeps.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define VERNIER_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define VERNIER_CLONES
#endif

namespace vernier {

namespace {

// Sixteen floats that the compiler turns into as few registers as a machine has; plain arrays of sums it does not.
using Wide = float __attribute__((vector_size(64)));
constexpr int64_t kWide = 16;

[[gnu::always_inline]] inline float total(const Wide& lanes) {
  float values[kWide];
  std::memcpy(values, &lanes, sizeof values);
  for (int64_t half = kWide / 2; half > 0; half /= 2)
    for (int64_t k = 0; k < half; ++k) values[k] += values[k + half];
  return values[0];
}

struct PairSums {
  float dot, square;
};

/// sum g d and sum (g d)^2
VERNIER_CLONES void multiply(const float* g, const float* d, int64_t n, PairSums* out) {
  Wide dots{}, squares{}, x, y;
  int64_t i = 0;
  for (; i + kWide <= n; i += kWide) {
    std::memcpy(&x, g + i, sizeof x);
    std::memcpy(&y, d + i, sizeof y);
    const Wide p = x * y;
    dots += p;
    squares += p * p;
  }
  if (i < n) {
    x = y = Wide{};
    std::memcpy(&x, g + i, static_cast<size_t>(n - i) * sizeof(float));
    std::memcpy(&y, d + i, static_cast<size_t>(n - i) * sizeof(float));
    const Wide p = x * y;
    dots += p;
    squares += p * p;
  }
  *out = {total(dots), total(squares)};
}

/// columns[j] += (g d)^2
VERNIER_CLONES void add_squares(const float* g, const float* d, int64_t n, double* columns) {
  for (int64_t i = 0; i < n; ++i) {
    const float p = g[i] * d[i];
    columns[i] += static_cast<double>(p * p);
  }
}

VERNIER_CLONES void add_squares(const float* g, int64_t n, double* columns) {
  for (int64_t i = 0; i < n; ++i) columns[i] += static_cast<double>(g[i] * g[i]);
}

void add_to(std::vector<double>& a, const std::vector<double>& b, double factor) {
  for (size_t i = 0; i < a.size(); ++i) a[i] += factor * b[i];
}

}  // namespace

void GradientSums::resize(const SliceGrid& grid, size_t schemes, bool channels) {
  squares.assign(grid.cells(), 0);
  dots.assign(schemes * grid.cells(), 0);
  diagonal.assign(schemes * grid.cells(), 0);
  if (!channels) return;
  const auto rows = static_cast<size_t>(grid.row_borders().back()),
             cols = static_cast<size_t>(grid.col_borders().back());
  row_squares.assign(rows, 0);
  col_squares.assign(cols, 0);
  row_diagonal.assign(schemes * rows, 0);
  col_diagonal.assign(schemes * cols, 0);
}

void GradientSums::add(const GradientSums& other, double factor) {
  add_to(squares, other.squares, factor);
  add_to(dots, other.dots, factor);
  add_to(diagonal, other.diagonal, factor);
  add_to(row_squares, other.row_squares, factor);
  add_to(col_squares, other.col_squares, factor);
  add_to(row_diagonal, other.row_diagonal, factor);
  add_to(col_diagonal, other.col_diagonal, factor);
}

void add_products(const SliceGrid& grid, int64_t first_row, int64_t rows, const float* gradient,
                  std::span<const float* const> errors, GradientSums& sums) {
  const std::vector<int64_t>& borders = grid.col_borders();
  const int64_t cols = borders.back(), all_rows = grid.row_borders().back();
  const bool channels = !sums.col_squares.empty();
  for (int64_t r = 0; r < rows; ++r) {
    const float* g = gradient + r * cols;
    const size_t first_cell = grid.first_cell(first_row + r);
    const auto row = static_cast<size_t>(first_row + r);
    for (size_t c = 0; c + 1 < borders.size(); ++c) {
      const int64_t first = borders[c], n = borders[c + 1] - first;
      PairSums pair;
      multiply(g + first, g + first, n, &pair);  // its dot is the square of the gradient
      sums.squares[first_cell + c] += static_cast<double>(pair.dot);
      if (channels) sums.row_squares[row] += static_cast<double>(pair.dot);
      for (size_t s = 0; s < errors.size(); ++s) {
        if (errors[s] == nullptr) continue;
        multiply(g + first, errors[s] + r * cols + first, n, &pair);
        sums.dots[s * grid.cells() + first_cell + c] += static_cast<double>(pair.dot);
        sums.diagonal[s * grid.cells() + first_cell + c] += static_cast<double>(pair.square);
        if (channels) sums.row_diagonal[s * static_cast<size_t>(all_rows) + row] += static_cast<double>(pair.square);
      }
    }
    if (!channels) continue;
    add_squares(g, cols, sums.col_squares.data());
    for (size_t s = 0; s < errors.size(); ++s)
      if (errors[s] != nullptr)
        add_squares(g, errors[s] + r * cols, cols, sums.col_diagonal.data() + s * static_cast<size_t>(cols));
  }
}

}  // namespace vernier
