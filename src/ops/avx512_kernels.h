#pragma once

// Loops written for CPUs with AVX-512 where compilers do not find the instructions: products of a few rows in registers
// and what lays their operands out for attention, and what bfloat16 makes cheaper. Operands of products are counted in
// words of 32 bits along the contracted dimension: a float, or two neighbouring bfloat16 values, of which one
// instruction adds up both products in float32. No torch in here.

#include <cstdint>

#include "vernier/compute.h"

namespace vernier {

struct Avx512Kernels {
  static constexpr int64_t kRows = 6;      ///< of a product: 6 x 4 vectors of sums leave registers for both operands
  static constexpr int64_t kColumns = 64;  ///< at most
  static constexpr int64_t kVector = 16;   ///< floats or words; columns are a multiple
  static constexpr int64_t kPanel = 32;    ///< columns of a matrix that lie together, word by word (panel_matrix.h)

  int64_t values_per_word;  ///< 1 or 2
  int64_t panel_rows;       ///< that multiply_panels and multiply_silu take at most

  /// Where sums of kRows rows go: out = (sums + added) * factor of the row.
  struct RowSum {
    const float* added = nullptr;  ///< nullptr: 0; may be what is written
    int64_t added_stride = 0;
    const float* factors = nullptr;  ///< [kRows], or nullptr: 1
    float* out = nullptr;
    int64_t stride = 0;
    uint32_t* words = nullptr;  ///< instead of `out`: as pack_row makes them of it, in a stride of `stride` words
  };
  /// Sums over w of a[r, w] b[w, j]: kRows rows, `columns` <= kColumns columns.
  void (*multiply)(const uint32_t* a, int64_t a_stride, const uint32_t* b, int64_t b_stride, int64_t words,
                   int64_t columns, const RowSum& to);

  /// Two panels of one matrix at once: what is multiplied by `right` lands in c_right. Of a single one it is nullptr.
  struct Panels {
    const uint32_t *left, *right;         ///< [words][kPanel]
    const float *bias_left, *bias_right;  ///< [kPanel], or nullptr
  };

  /// c_left[r, j] = bias + sum over w of a[r, w] panel[w, j], or added to with `accumulate`: 1 to panel_rows rows.
  void (*multiply_panels)(const uint32_t* a, int64_t a_stride, int64_t rows, const Panels& panels, int64_t words,
                          float* c_left, float* c_right, int64_t c_stride, bool accumulate);

  /// The words of silu(product by `left`) * product by `right`: rows of kPanel values. As silu_multiply and pack_row
  /// make them of the products, and nullptr where silu_multiply is.
  void (*multiply_silu)(const uint32_t* a, int64_t a_stride, int64_t rows, const Panels& panels, int64_t words,
                        uint32_t* out, int64_t out_stride);

  /// Where sums of kRows rows by two panels go: out = sums + added (nullptr: sums), or out += ... with `accumulate`.
  struct TileSum {
    const float* added;   ///< [kRows][2 kPanel]; may be what is written
    float *left, *right;  ///< where the columns of either panel go
    int64_t stride;
    bool accumulate;
  };
  /// One product of kRows rows by two panels, put into one place or two (`second` nullptr). Of float32 alone: else nullptr.
  void (*multiply_tile)(const float* a, int64_t a_stride, const float* left, const float* right, int64_t depth,
                        const TileSum& first, const TileSum* second);

  /// The words of a row, n a multiple of kVector: words[0, n / values_per_word).
  void (*pack_row)(const float* x, int64_t n, uint32_t* words);

  /// Words whose values are `values_per_word` rows' at the same place: words[0, n), n a multiple of kVector.
  void (*pack_rows)(const float* const* rows, int64_t n, uint32_t* words);

  /// The words of rows times `scale`, without gaps; n a multiple of kVector. Returns the largest sum of a row's squares
  /// as scaled.
  float (*pack_scaled)(const float* x, int64_t stride, int64_t rows, int64_t n, float scale, uint32_t* words);

  /// In place over s[0, size): the words of exp(s - max) inside [first, last), of 0 outside and up to the end of the last
  /// word. Returns the sum of what is inside, and of a score that stands beside them unless it is nullptr. Reads and
  /// writes up to the next multiple of kVector.
  float (*exp_row)(float* s, int64_t size, int64_t first, int64_t last, const float* beside);

  /// What a score may be for `weigh`, in powers of two: sums of 2^11 weights and their products with values
  /// up to 2^19 stay in float32, and so does what is 2^30 times smaller than the largest weight.
  static constexpr float kLargestExponent = 96;
  /// The words of 2^(score) for kRows queries and `columns` <= kColumns keys, scores being products as of `multiply` with
  /// b_stride kColumns: no score meets memory. The first query sees the first `seen` keys, each next one `more` more; the
  /// weights of others are 0. sums [kRows, kVector] are added to: of each row its weights as rounded, in any lanes.
  void (*weigh)(const uint32_t* q, int64_t q_stride, const uint32_t* k, int64_t words, int64_t columns, int64_t seen,
                int64_t more, uint32_t* out, int64_t out_stride, float* sums);

  /// The same of `rows`, a multiple of kRows, and `keys`, a multiple of kColumns, of which every query sees each: q and k
  /// lie without gaps, the words of kColumns keys behind those of the ones before.
  void (*weigh_seen)(const uint32_t* q, int64_t rows, const uint32_t* k, int64_t words, int64_t keys, uint32_t* out,
                     int64_t out_stride, float* sums);

  /// out = silu(gate) * up, n a multiple of kVector; nullptr where nothing is gained by knowing the type.
  void (*silu_multiply)(const float* gate, const float* up, int64_t n, float* out);
  /// out = x times the share of a normal distribution below x; as silu_multiply.
  void (*gelu)(const float* x, int64_t n, float* out);
};

/// nullptr where this machine lacks the instructions: AVX-512, and AVX512_BF16 for bfloat16.
const Avx512Kernels* avx512_kernels(ComputeType type);

}  // namespace vernier
