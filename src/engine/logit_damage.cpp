#include "engine/logit_damage.h"

#include <ATen/ATen.h>

namespace vernier {

LogitDamage logit_damage(const at::Tensor& z, const at::Tensor& y, const at::Tensor& labels) {
  const at::Tensor log_p = z.log_softmax(-1), p = log_p.exp();
  const at::Tensor shift = (p * (y - z)).sum(-1, /*keepdim=*/true), d = y - z - shift;
  return {(p * (d.expm1() - d)).sum(-1).log1p(), (log_p - y.log_softmax(-1)).gather(-1, labels).squeeze(-1),
          (z.argmax(-1) == y.argmax(-1)).to(at::kDouble)};
}

}  // namespace vernier
