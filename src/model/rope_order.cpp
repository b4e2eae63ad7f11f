#include "model/rope_order.h"

#include <ATen/ATen.h>

namespace vernier {

namespace {

at::Tensor swapped(const at::Tensor& weight, int64_t heads, bool outward) {
  const int64_t half = weight.size(0) / heads / 2;
  return weight.reshape({heads, outward ? 2 : half, outward ? half : 2, -1}).transpose(1, 2);
}

}  // namespace

at::Tensor to_interleaved_rope(const at::Tensor& weight, int64_t heads) {
  return swapped(weight, heads, true).contiguous().view(weight.sizes());
}

at::Tensor from_interleaved_rope(const at::Tensor& weight, int64_t heads) {
  return swapped(weight, heads, false).contiguous().view(weight.sizes());
}

at::Tensor view_from_interleaved_rope(const at::Tensor& weight, int64_t heads) { return swapped(weight, heads, false); }

}  // namespace vernier
