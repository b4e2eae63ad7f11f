#include "engine/slices.h"

#include <ATen/ATen.h>

namespace vernier {

at::Tensor with_slices(const Model& model, const std::vector<WeightSlice>& slices, const TensorId& id,
                       const WeightSource& changed) {
  const at::Tensor replacement = changed(id);
  at::Tensor result;
  for (const WeightSlice& slice : slices) {
    if (slice.tensor != id) continue;
    if (slice.rows == replacement.size(0) && slice.cols == replacement.size(1)) return replacement;
    if (!result.defined()) result = model.weight(id).to(at::kFloat, /*non_blocking=*/false, /*copy=*/true);
    const auto part = [&](const at::Tensor& t) {
      return t.narrow(0, slice.first_row, slice.rows).narrow(1, slice.first_col, slice.cols);
    };
    part(result).copy_(part(replacement));
  }
  return result;
}

}  // namespace vernier
