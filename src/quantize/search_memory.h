#pragma once

// What a search holds in memory, which decides how many are under way at once (ops/nested_for.h).

#include <algorithm>
#include <cstdint>

namespace vernier {

/// Making one candidate for a matrix [rows, cols] and judging it: a factor in float64 (curvature.h), values, errors and their
/// products. @param by_outputs whether rows make up for each other
/// @unit bytes
inline int64_t candidate_bytes(int64_t rows, int64_t cols, bool by_outputs) {
  const int64_t of_columns = 16 * cols * cols, of_rows = by_outputs ? 16 * rows * rows + 12 * cols * cols : 0;
  return std::max(of_columns, of_rows) + 28 * rows * cols;
}

/// A search of a matrix with one candidate at a time.
inline int64_t search_bytes(int64_t rows, int64_t cols, bool by_outputs) {
  return candidate_bytes(rows, cols, by_outputs) + 12 * rows * cols;
}

}  // namespace vernier
