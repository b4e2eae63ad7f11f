#include "reliability/matched_noise.h"

#include <ATen/ATen.h>

#include <cmath>

#include "base/fail.h"
#include "corruptions/drawn.h"
#include "vernier/corruptions.h"

namespace vernier {

bool same_tensors(const Model& a, const Model& b) {
  if (a.tensors() != b.tensors()) return false;
  for (const TensorId& id : a.tensors())
    if (a.shape(id) != b.shape(id)) return false;
  return true;
}

Model with_matched_noise(const Model& original, const Model& quantized, uint64_t seed) {
  if (!same_tensors(original, quantized))
    fail(ErrorKind::kInvalidArgument, "reliability: {} and {} have other tensors; noise of one's power fits no other",
         original.source().name, quantized.source().name);
  Model noisy = original;
  for (const TensorId& id : original.matrices()) {
    const at::Tensor before = original.weight(id).to(at::kFloat).contiguous();
    const double power = (quantized.weight(id).to(at::kFloat) - before).to(at::kDouble).square().mean().item<double>();
    if (power == 0) continue;
    const at::Tensor changed = before.clone();
    Drawn drawn(corruption_seed(seed, 0, name_of(id), 0));
    float* values = changed.data_ptr<float>();
    const double deviation = std::sqrt(power);
    for (int64_t i = 0; i < changed.numel(); ++i) values[i] += static_cast<float>(deviation * drawn.normal());
    noisy.set_weight(id, changed);
  }
  return noisy;
}

}  // namespace vernier
