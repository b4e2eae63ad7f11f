#include "ops/strassen.h"

#include <algorithm>

#include "base/fail.h"
#include "ops/kernels.h"

namespace vernier {

namespace {

using Kernels = Avx512Kernels;

constexpr int64_t kTileRows = Kernels::kRows;

}  // namespace

bool StrassenRows::are_alike(float shortest, float longest) {
  constexpr float kRatio = 8;  // three of 24 bits
  return longest <= kRatio * kRatio * shortest;
}

StrassenRows::StrassenRows(const Avx512Kernels& kernels, const Slab& x, Arena& arena)
    : kernels_(kernels),
      x_(x),
      sums_(arena.floats(x.rows * x.cols)),
      alike_(reinterpret_cast<bool*>(arena.floats(x.rows / kRows))) {
  if (x.rows % kRows != 0 || x.cols % kDepth != 0)
    fail(ErrorKind::kInternal, "product by quarters: x [{}, {}], expected multiples of {} and {}", x.rows, x.cols,
         kRows, kDepth);
  const int64_t depth = x.cols / 2, sum = kTileRows * depth;
  for (int64_t group = 0; group < x.rows / kRows; ++group) {
    float squares[kRows];
    for (int64_t r = 0; r < kTileRows; ++r) {
      const float *above = x.row(group * kRows + r), *below = x.row(group * kRows + kTileRows + r);
      const float* const quarters[] = {above, above + depth, below, below + depth};
      left_quarter_sums(quarters, depth, sums_ + group * 4 * sum + r * depth, sum, squares + 2 * r);
    }
    const auto [shortest, longest] = std::minmax_element(squares, squares + kRows);
    alike_[group] = are_alike(*shortest, *longest);
  }
}

namespace {

/// The share `part` of `parts` of so many floats into the second-level cache.
void fetch(const float* memory, int64_t floats, int64_t part, int64_t parts) {
  constexpr int64_t kLine = 16;
  for (int64_t i = floats * part / parts / kLine * kLine; i < floats * (part + 1) / parts; i += kLine)
    __builtin_prefetch(memory + i, 0, 2);
}

void fetch(const StrassenRows::Columns& columns, int64_t depth, int64_t part, int64_t parts) {
  const int64_t panel = depth * Kernels::kPanel;
  for (const auto* half : {&columns.left, &columns.right}) {
    fetch(half->left, panel, part, parts);
    fetch(half->right, panel, part, parts);
  }
  if (columns.sums != nullptr) fetch(columns.sums, StrassenRows::sums_of(depth), part, parts);
}

}  // namespace

void StrassenRows::add_up(const Half& left, const Half& right, int64_t depth, float* sums) {
  const int64_t quarter = depth / 2 * Kernels::kPanel;
  const float* const of_left[] = {left.left, right.left, left.left + quarter, right.left + quarter};
  const float* const of_right[] = {left.right, right.right, left.right + quarter, right.right + quarter};
  right_quarter_sums(of_left, quarter, sums, 2 * quarter);
  right_quarter_sums(of_right, quarter, sums + quarter, 2 * quarter);
}

// With a the rows, b the columns, 1 and 2 their halves along the contracted dimension:
//   s1 = a21 + a22   s2 = s1 - a11   s3 = a11 - a21   s4 = a12 - s2
//   t1 = b12 - b11   t2 = b22 - t1   t3 = b22 - b12   t4 = b21 - t2
//   c11 = p1 + a12 b21      w = p1 + s2 t2         p1 = a11 b11
//   v = w + s3 t3           c21 = v + a22 t4
//   c22 = v + s1 t1         c12 = w + s1 t1 + s4 b22
void StrassenRows::multiply(const Columns& columns, const Columns* next, const std::function<Place(int64_t)>& place,
                            const std::function<void(int64_t)>& done, Arena& scratch) const {
  const Arena::Scope scope(scratch);
  constexpr int64_t kPanel = Kernels::kPanel;
  const int64_t depth = x_.cols / 2, quarter = depth * kPanel, groups = x_.rows / kRows;
  const auto lower = [&](const Half& half) { return Half{half.left + quarter, half.right + quarter}; };
  const Half b11 = columns.left, b21 = lower(b11), b12 = columns.right, b22 = lower(b12);
  const float* weights = columns.sums;
  if (columns.alike && weights == nullptr) {
    float* const made = scratch.floats(sums_of(x_.cols));
    add_up(columns.left, columns.right, x_.cols, made);
    weights = made;
  }
  const auto t = [&](int64_t i) { return Half{weights + 2 * i * quarter, weights + (2 * i + 1) * quarter}; };
  const Half t1 = t(0), t2 = t(1), t3 = t(2), t4 = t(3);

  alignas(64) float w[kTileRows * kColumns], v[kTileRows * kColumns];
  const auto buffer = [](float* tile, const float* added) {
    return Kernels::TileSum{added, tile, tile + kPanel, kColumns, false};
  };
  for (int64_t group = 0; group < groups; ++group) {
    if (next != nullptr) fetch(*next, x_.cols, group, groups);
    const Place to = place(group);
    const auto result = [&](int64_t half, float* first, const float* added) {
      float* const rows = first + half * kTileRows * to.stride;
      return Kernels::TileSum{added, rows, rows + kPanel, to.stride, to.accumulate};
    };
    const float *top = x_.row(group * kRows), *bottom = x_.row(group * kRows + kTileRows);
    if (!columns.alike || !alike_[group]) {
      const auto whole = [&](const float* a, const Half& b, const Kernels::TileSum& sum) {
        kernels_.multiply_tile(a, x_.ld, b.left, b.right, x_.cols, sum, nullptr);
      };
      whole(top, columns.left, result(0, to.left, nullptr));
      whole(bottom, columns.left, result(1, to.left, nullptr));
      whole(top, columns.right, result(0, to.right, nullptr));
      whole(bottom, columns.right, result(1, to.right, nullptr));
    } else {
      const auto multiply = [&](const float* a, int64_t stride, const Half& b, const Kernels::TileSum& first,
                                const Kernels::TileSum* second = nullptr) {
        kernels_.multiply_tile(a, stride, b.left, b.right, depth, first, second);
      };
      const auto s = [&](int64_t i) { return sums_ + (group * 4 + i) * kTileRows * depth; };
      const Kernels::TileSum more = buffer(w, w);
      multiply(top, x_.ld, b11, buffer(w, nullptr));
      multiply(top + depth, x_.ld, b21, result(0, to.left, w));
      multiply(s(1), depth, t2, buffer(w, w));
      multiply(s(2), depth, t3, buffer(v, w));
      multiply(bottom + depth, x_.ld, t4, result(1, to.left, v));
      multiply(s(0), depth, t1, result(1, to.right, v), &more);
      multiply(s(3), depth, b22, result(0, to.right, w));
    }
    if (done) done(group);
  }
}

}  // namespace vernier
