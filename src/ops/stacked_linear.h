#pragma once

// Matrices that are fed the same rows, one output beside the other: a single product, or one per matrix where an engine
// rounds the rows differently for each.

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "base/fail.h"
#include "ops/activation_rounding.h"
#include "ops/packed_linear.h"
#include "ops/site_rounding.h"

namespace vernier {

class StackedLinear {
 public:
  StackedLinear() = default;
  StackedLinear(PackedLinear matrix) { append(std::move(matrix)); }  // NOLINT: a single matrix is a stack of one

  /// `kept` multiplies the channels that the rounding of a site keeps, where it is another matrix.
  void append(PackedLinear matrix, const InputRounding& rounding = {}, std::optional<PackedLinear> kept = {}) {
    out_ += matrix.out();
    parts_.push_back({std::move(matrix), rounding, std::move(kept)});
  }

  void append(const StackedLinear& other) {
    out_ += other.out_;
    parts_.insert(parts_.end(), other.parts_.begin(), other.parts_.end());
  }

  /// The same packed matrix, fed otherwise. Of a single one, all of whose channels are rounded alike.
  StackedLinear fed(const InputRounding& rounding) const {
    StackedLinear other;
    other.append(parts_.at(0).matrix, rounding);
    return other;
  }

  /// As PackedLinear's.
  void keep_sums() {
    for (Part& part : parts_) part.matrix.keep_sums();
  }
  void keep_rows_apart() {
    for (Part& part : parts_) {
      part.matrix.keep_rows_apart();
      if (part.kept) part.kept->keep_rows_apart();
    }
  }

  int64_t out() const { return out_; }
  ComputeType type() const { return parts_.front().matrix.type(); }
  /// Whether ranges are shared by rows, so that apply must see all rows of a sequence.
  bool rounds_rows_together() const {
    return std::any_of(parts_.begin(), parts_.end(), [](const Part& part) { return part.rounding.site != nullptr; });
  }
  /// As PackedLinear's.
  bool rows_are_independent() const {
    return std::all_of(parts_.begin(), parts_.end(), [](const Part& part) {
      return part.matrix.rows_are_independent() && (!part.kept || part.kept->rows_are_independent());
    });
  }
  /// Where rows as they are meet a single matrix on kernels of our own: that one. Else nullptr.
  const PanelMatrix* panels() const {
    const bool plain = parts_.size() == 1 && parts_.front().rounding.none() && !parts_.front().kept;
    return plain ? parts_.front().matrix.panels() : nullptr;
  }
  /// The same packed memory (not: equal values).
  bool operator==(const StackedLinear&) const = default;

  /// Rows before `rows` are not needed of the first `columns` outputs.
  struct Skip {
    int64_t rows = 0, columns = 0;
  };

  /// As PackedLinear::apply. What `skip` leaves out is undefined in y; it costs nothing where matrices end at the
  /// skipped columns.
  void apply(const Slab& x, const Slab& y, bool accumulate, Arena& scratch, const Skip& skip) const {
    if (y.cols != out_ || parts_.empty())
      fail(ErrorKind::kInternal, "stack of {} matrices with {} outputs: y has {}", parts_.size(), out_, y.cols);
    const Arena::Scope scope(scratch);
    Slab rounded = x;
    InputRounding done;
    int64_t first = 0;
    for (const Part& part : parts_) {
      if (part.rounding.none()) {
        rounded = x;
      } else if (part.rounding != done) {
        rounded = scratch.slab(x.rows, x.cols);
        round_activations(part.rounding, x, rounded);
      }
      done = part.rounding;
      if (part.kept) {
        apply_apart(part, x, rounded, y.columns(first, part.matrix.out()), accumulate, scratch);
        first += part.matrix.out();
        continue;
      }
      const int64_t from = first + part.matrix.out() <= skip.columns ? skip.rows : 0;
      part.matrix.apply(rounded.rows_from(from), y.columns(first, part.matrix.out()).rows_from(from), accumulate,
                        scratch);
      first += part.matrix.out();
    }
  }
  void apply(const Slab& x, const Slab& y, bool accumulate, Arena& scratch) const {
    apply(x, y, accumulate, scratch, {});
  }

 private:
  struct Part {
    PackedLinear matrix;
    InputRounding rounding;
    std::optional<PackedLinear> kept;
    bool operator==(const Part&) const = default;
  };

  /// The kept channels of x by one matrix, the others by the other.
  static void apply_apart(const Part& part, const Slab& x, const Slab& rounded, const Slab& y, bool accumulate,
                          Arena& scratch) {
    const Slab kept = scratch.slab(x.rows, x.cols), others = scratch.slab(x.rows, x.cols);
    kept_channels(*part.rounding.site, x, kept);
    for (int64_t r = 0; r < x.rows; ++r)
      for (int64_t j = 0; j < x.cols; ++j) others.row(r)[j] = rounded.row(r)[j] - kept.row(r)[j];
    part.matrix.apply(others, y, accumulate, scratch);
    part.kept->apply(kept, y, /*accumulate=*/true, scratch);
  }

  std::vector<Part> parts_;
  int64_t out_ = 0;
};

}  // namespace vernier
