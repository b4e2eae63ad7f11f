#pragma once

// x W^T + b on this project's own kernels (avx512_kernels.h): W lies in panels of kPanel columns, a few rows meet one or
// two panels over the whole contracted dimension with their sums in registers. So results go where they are wanted, into
// columns of a wider matrix too, and a gated feed-forward leaves its hidden state as the next product takes it. Many rows
// in float32 are multiplied by quarters, which saves an eighth (strassen.h).
//
//   if (const Avx512Kernels* kernels = PanelMatrix::kernels_for(type, out, in)) PanelMatrix(*kernels, weight, out, in, {})

#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

#include "ops/arena.h"
#include "ops/avx512_kernels.h"
#include "ops/strassen.h"

namespace vernier {

/// Rows in the type that multiplies, as words of 32 bits: [rows, row_words], row stride `stride`.
struct WordRows {
  uint32_t* data = nullptr;
  int64_t rows = 0;
  int64_t row_words = 0;
  int64_t stride = 0;

  uint32_t* row(int64_t r) const { return data + r * stride; }
  WordRows row_range(int64_t first, int64_t count) const { return {row(first), count, row_words, stride}; }
  WordRows columns(int64_t first, int64_t count) const { return {data + first, rows, count, stride}; }
};

/// Memory whose vectors of 16 floats lie in one cache line each, and which is not zeroed before it is filled.
template <class T>
struct CacheLineAllocator {
  using value_type = T;  // NOLINT: what allocators call it
  static constexpr std::align_val_t kAlignment{64};
  CacheLineAllocator() = default;
  template <class Other>
  CacheLineAllocator(const CacheLineAllocator<Other>&) {}  // NOLINT: allocators convert
  T* allocate(size_t count) { return static_cast<T*>(::operator new(count * sizeof(T), kAlignment)); }
  void deallocate(T* p, size_t) { ::operator delete(p, kAlignment); }
  void construct(T* p) { ::new (static_cast<void*>(p)) T; }
  bool operator==(const CacheLineAllocator&) const = default;
};

class PanelMatrix {
 public:
  /// nullptr where the machine or the shape has none.
  static const Avx512Kernels* kernels_for(ComputeType type, int64_t out, int64_t in);

  /// weight row-major [out, in] in the type of `kernels`; bias [out] or nullptr. Both are copied.
  PanelMatrix(const Avx512Kernels& kernels, const void* weight, int64_t out, int64_t in, const float* bias);

  /// Keeps the sums of weights that products by quarters take, three quarters of the weights' memory: else each product of
  /// some hundred rows makes them anew, in 3% of its time.
  void keep_sums();
  /// From now on all is multiplied as it stands: a row's bits then do not depend on the rows beside it.
  void keep_rows_apart();
  /// Whether a row's result has the same bits however many rows go through the product with it.
  bool rows_are_independent() const { return alike_.empty(); }

  int64_t out() const { return out_; }
  /// Rows of what apply multiplies: undefined ones in `arena`, or those of x, in place where they are float32.
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

  /// The same in float32, where so many rows are multiplied by quarters: y = silu(first half) * second half, x [rows, in],
  /// y [rows, out / 2]. @return whether so; else y is as it was
  bool apply_silu(const Slab& x, const Slab& y, Arena& scratch) const;

 private:
  // Of fewer rows, sums of weights cost what they save.
  static constexpr int64_t kFewestRows = 96;
  bool by_quarters(int64_t rows) const { return !alike_.empty() && rows >= kFewestRows; }
  void look_for_halves(const float* weight, int64_t in);
  void apply_by_quarters(const Slab& x, const Slab& y, bool accumulate, Arena& scratch) const;
  /// Columns first to last of apply.
  void apply_columns(const WordRows& x, const Slab& y, bool accumulate, int64_t first, int64_t last) const;
  int64_t pairs() const { return static_cast<int64_t>(alike_.size()); }
  /// The first columns of the halves of a pair.
  struct Halves {
    int64_t left, right;
  };
  Halves halves(int64_t pair) const;
  /// The same as operands, of `depth` contracted places from `from` on.
  StrassenRows::Columns columns(int64_t pair, int64_t from, int64_t depth) const;
  void add_bias(const Slab& y, int64_t first) const;

  int64_t words_of(int64_t values) const { return values / kernels_.values_per_word; }
  /// Outputs from `left` on, and from `right` on: multiples of kPanel.
  Avx512Kernels::Panels panels(int64_t left, int64_t right) const;

  const Avx512Kernels& kernels_;
  int64_t out_, row_words_;
  template <class T>
  using Lines = std::vector<T, CacheLineAllocator<T>>;
  Lines<uint32_t> words_;    // [out / kPanel][words of a row][kPanel]
  std::vector<float> bias_;  // empty: none
  std::vector<bool> alike_;  // of each pair of halves; empty: all is multiplied as it stands
  bool gated_ = false;       // halves of a pair are out / 2 columns apart, else they are neighbours
  Lines<float> sums_;        // [parts of the contracted dimension][pairs][StrassenRows::sums_of]; empty: not kept
};

}  // namespace vernier
