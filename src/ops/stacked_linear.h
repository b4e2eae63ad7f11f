#pragma once

// Matrices that are fed the same rows, one output beside the other: a single product, or one per matrix where an engine
// rounds the rows differently for each.

#include <utility>
#include <vector>

#include "base/fail.h"
#include "ops/activation_rounding.h"
#include "ops/packed_linear.h"

namespace vernier {

class StackedLinear {
 public:
  StackedLinear() = default;
  StackedLinear(PackedLinear matrix) { append(std::move(matrix)); }  // NOLINT: a single matrix is a stack of one

  void append(PackedLinear matrix, const InputRounding& rounding = {}) {
    out_ += matrix.out();
    parts_.push_back({std::move(matrix), rounding});
  }

  void append(const StackedLinear& other) {
    out_ += other.out_;
    parts_.insert(parts_.end(), other.parts_.begin(), other.parts_.end());
  }

  int64_t out() const { return out_; }
  ComputeType type() const { return parts_.front().matrix.type(); }
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
    bool operator==(const Part&) const = default;
  };
  std::vector<Part> parts_;
  int64_t out_ = 0;
};

}  // namespace vernier
