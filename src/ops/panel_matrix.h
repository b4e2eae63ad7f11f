#pragma once

// x W^T + b on this project's own kernels (avx512_kernels.h): W lies in panels of kPanel columns, a few rows meet one or
// two panels over the whole contracted dimension with their sums in registers. So results go where they are wanted, into
// columns of a wider matrix too, and a gated feed-forward leaves its hidden state as the next product takes it.
//
//   if (const Avx512Kernels* kernels = PanelMatrix::kernels_for(type, out, in)) PanelMatrix(*kernels, weight, out, in, {})

#include <cstdint>
#include <vector>

#include "ops/arena.h"
#include "ops/avx512_kernels.h"

namespace vernier {

/// Rows in the type that multiplies, as words of 32 bits: [rows, row_words], one row after the other.
struct WordRows {
  uint32_t* data = nullptr;
  int64_t rows = 0;
  int64_t row_words = 0;

  uint32_t* row(int64_t r) const { return data + r * row_words; }
};

class PanelMatrix {
 public:
  /// nullptr where the machine or the shape has none.
  static const Avx512Kernels* kernels_for(ComputeType type, int64_t out, int64_t in);

  /// weight row-major [out, in] in the type of `kernels`; bias [out] or nullptr. Both are copied.
  PanelMatrix(const Avx512Kernels& kernels, const void* weight, int64_t out, int64_t in, const float* bias);

  int64_t out() const { return out_; }
  /// Rows of what apply multiplies, in `arena`: undefined, or those of x.
  WordRows rows(int64_t count, Arena& arena) const;
  WordRows pack(const Slab& x, Arena& arena) const;
  /// Rows at a time whose `bytes_per_row` stay in cache, such that `rows` make blocks of about one size.
  static int64_t rows_at_once(int64_t rows, int64_t bytes_per_row);

  /// y = x W^T + b, or y += ... with `accumulate`: x [rows, in], y [rows, out], of which nothing else is written.
  void apply(const Slab& x, const Slab& y, bool accumulate, Arena& scratch) const;
  void apply(const WordRows& x, const Slab& y, bool accumulate) const;

  /// Whether outputs are two halves that apply_silu can bring together.
  bool has_silu() const { return kernels_.multiply_silu != nullptr && out_ % (2 * Avx512Kernels::kPanel) == 0; }
  /// y = silu(first half of the outputs) * second half: x [rows, in], y [rows, out / 2]. The same bits as apply,
  /// silu_multiply and pack_row one after the other.
  void apply_silu(const WordRows& x, const WordRows& y) const;

 private:
  int64_t words_of(int64_t values) const { return values / kernels_.values_per_word; }
  /// Outputs from `left` on, and from `right` on: multiples of kPanel.
  Avx512Kernels::Panels panels(int64_t left, int64_t right) const;

  const Avx512Kernels& kernels_;
  int64_t out_, row_words_;
  std::vector<uint32_t> words_;  // [out / kPanel][words of a row][kPanel]
  std::vector<float> bias_;      // empty: none
};

}  // namespace vernier
