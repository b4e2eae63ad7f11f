#pragma once

// y = x W^T + b with the weight laid out once for the CPU's matrix units, and the small strided products of attention.
// Products are this project's own where machine and shape have kernels (panel_matrix.h). For the others two implementations are
// swapped at build time: packed_linear_onednn.cpp, or packed_linear_aten.cpp without oneDNN.

#include <memory>
#include <string>

#include "ops/arena.h"
#include "ops/panel_matrix.h"
#include "vernier/compute.h"

namespace at {
class Tensor;
}

namespace vernier {

class PackedLinear {
 public:
  PackedLinear() = default;
  /// weight [out, in] of any floating type; bias [out] or undefined. @cost converts and copies the weight once
  PackedLinear(const at::Tensor& weight, const at::Tensor& bias, ComputeType type);

  int64_t in() const { return in_; }
  int64_t out() const { return out_; }
  ComputeType type() const { return type_; }
  /// The same packed memory (not: equal values).
  bool operator==(const PackedLinear& other) const { return impl_ == other.impl_ && panels_ == other.panels_; }
  /// As PanelMatrix's, for all that share the packed memory; nothing where others multiply.
  void keep_sums() {
    if (panels_) panels_->keep_sums();
  }
  void keep_rows_apart() {
    if (panels_) panels_->keep_rows_apart();
  }
  /// What multiplies, where that are kernels of our own; else nullptr.
  const PanelMatrix* panels() const { return panels_.get(); }

  /// y = x W^T + b, or y += ... with `accumulate`. x [rows, in], y [rows, out]. Both are padded (Arena::slab): y's rows
  /// up to the next multiple of kRowPadding are overwritten, so y must be a slab's last rows, and x readable as far.
  void apply(const Slab& x, const Slab& y, bool accumulate, Arena& scratch) const;

  /// Whether a row's result has the same bits however many rows go through the product with it.
  bool rows_are_independent() const { return panels_ ? panels_->rows_are_independent() : impl_rows_are_independent(); }

 private:
  struct Impl;
  /// weight: row-major [out, in] in the type that multiplies; bias [out] or nullptr. Both are copied.
  static std::shared_ptr<const Impl> pack(const void* weight, int64_t out, int64_t in, const float* bias,
                                          ComputeType type);
  static bool impl_rows_are_independent();
  void apply_impl(const Slab& x, const Slab& y, bool accumulate, Arena& scratch) const;

  // One of both.
  std::shared_ptr<const Impl> impl_;
  std::shared_ptr<PanelMatrix> panels_;
  int64_t in_ = 0, out_ = 0;
  ComputeType type_ = ComputeType::kFloat32;
};

/// c = a b^T (transpose_b) or a b, on whatever strides the slabs have.
void multiply(const Slab& a, const Slab& b, bool transpose_b, const Slab& c);

/// "oneDNN 2.6.3" or "ATen": for doctor and provenance.
std::string matmul_backend();

}  // namespace vernier
