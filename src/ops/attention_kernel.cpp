#include "ops/attention_kernel.h"

#include <ATen/ATen.h>

#include <optional>

#include "base/fail.h"
#include "ops/torch_version.h"

namespace vernier {

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 1)

bool has_attention_kernel() { return true; }

at::Tensor attention_by_kernel(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, bool causal,
                               double scale) {
  return at::scaled_dot_product_attention(q.to(at::kBFloat16), k.to(at::kBFloat16), v.to(at::kBFloat16),
                                          /*attn_mask=*/{}, /*dropout_p=*/0.0, causal,
                                          scale > 0 ? std::optional<double>(scale) : std::nullopt);
}

#else

bool has_attention_kernel() { return false; }

at::Tensor attention_by_kernel(const at::Tensor&, const at::Tensor&, const at::Tensor&, bool, double) {
  fail(ErrorKind::kInternal, "this tensor library has no kernel of attention");
}

#endif

}  // namespace vernier
