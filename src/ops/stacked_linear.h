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

  void append(PackedLinear matrix, ActivationRounding rounding = ActivationRounding::kNone) {
    out_ += matrix.out();
    parts_.push_back({std::move(matrix), rounding});
  }

  int64_t out() const { return out_; }
  /// The same packed memory (not: equal values).
  bool operator==(const StackedLinear&) const = default;

  /// As PackedLinear::apply.
  void apply(const Slab& x, const Slab& y, bool accumulate, Arena& scratch) const {
    if (y.cols != out_ || parts_.empty())
      fail(ErrorKind::kInternal, "stack of {} matrices with {} outputs: y has {}", parts_.size(), out_, y.cols);
    const Arena::Scope scope(scratch);
    Slab rounded = x;
    ActivationRounding done = ActivationRounding::kNone;
    int64_t first = 0;
    for (const Part& part : parts_) {
      if (part.rounding == ActivationRounding::kNone) {
        rounded = x;
      } else if (part.rounding != done) {
        rounded = scratch.slab(x.rows, x.cols);
        round_activations(part.rounding, x, rounded);
      }
      done = part.rounding;
      part.matrix.apply(rounded, y.columns(first, part.matrix.out()), accumulate, scratch);
      first += part.matrix.out();
    }
  }

 private:
  struct Part {
    PackedLinear matrix;
    ActivationRounding rounding = ActivationRounding::kNone;
    bool operator==(const Part&) const = default;
  };
  std::vector<Part> parts_;
  int64_t out_ = 0;
};

}  // namespace vernier
