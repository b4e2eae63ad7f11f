#pragma once

// A product in seven eighths of its multiplications: rows, columns and the contracted dimension in halves, seven products
// of quarters where the schoolbook has eight (Strassen 1969, in Winograd's form that adds up the least). Halves lie close
// together, six rows and the next six, 64 columns and 64 others, so that quarters of the result stay in cache. Sums of rows
// are made once per product, sums of weights anew for each pair of columns: weights take no more memory.
//
// All of it is float32, yet results are differences of larger numbers: rounding is about twice that of the schoolbook
// where what meets is of one size. Where it is not the smaller would lose digits to the larger: are_alike tells.

#include <cstdint>
#include <functional>

#include "ops/arena.h"
#include "ops/avx512_kernels.h"

namespace vernier {

class StrassenRows {
 public:
  static constexpr int64_t kRows = 2 * Avx512Kernels::kRows;      ///< of a group: both halves
  static constexpr int64_t kColumns = 2 * Avx512Kernels::kPanel;  ///< of a half
  static constexpr int64_t kDepth = 2 * Avx512Kernels::kVector;   ///< the contracted dimension is a multiple

  /// x [groups * kRows, depth], of which sums are made in `arena`; both must outlive this. Groups of rows unlike each other
  /// are left to the schoolbook. `kernels`: with multiply_tile.
  StrassenRows(const Avx512Kernels& kernels, const Slab& x, Arena& arena);

  /// Two panels, [depth][kPanel] each.
  struct Half {
    const float *left, *right;
  };
  struct Columns {
    Half left, right;
    bool alike;         ///< else the schoolbook multiplies them
    const float* sums;  ///< as add_up makes them; nullptr: they are made for this product
  };
  /// How many floats the sums of two halves are.
  static int64_t sums_of(int64_t depth) { return 8 * (depth / 2) * Avx512Kernels::kPanel; }
  static void add_up(const Half& left, const Half& right, int64_t depth, float* sums);
  /// Where kRows rows by the columns of both halves go, or are added to.
  struct Place {
    float *left, *right;
    int64_t stride;
    bool accumulate;
  };
  /// For each group: asks where it goes, writes there, and says when it has, unless `done` is empty. `next`: the columns
  /// that will be multiplied after these, or nullptr; they are fetched meanwhile.
  void multiply(const Columns& columns, const Columns* next, const std::function<Place(int64_t group)>& place,
                const std::function<void(int64_t group)>& done, Arena& scratch) const;

  /// Whether squared lengths differ so little that adding vectors up loses none of them.
  static bool are_alike(float shortest, float longest);

 private:
  const Avx512Kernels& kernels_;
  Slab x_;
  float* sums_;  // [groups][4 sums][kRows / 2][depth / 2]
  bool* alike_;  // [groups]
};

}  // namespace vernier
