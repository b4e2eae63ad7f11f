#include "diagnose/whole_model.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "diagnose/damage.h"
#include "engine/aten_model.h"
#include "ops/parallel.h"

namespace vernier {

double noise_floor(const Model& model, Sweep& sweep, const EvaluationData& data) {
  constexpr int64_t kRows = 64;  // of logits in float64 at once
  const c10::NoGradGuard no_grad;
  const TokenWindow& window = data.windows.front();
  const std::vector<int64_t> ids(window.tokens.begin(), window.tokens.end() - 1);
  const at::Tensor input = at::tensor(ids, at::kLong).unsqueeze(0);
  double kl = 0;
  int64_t rows = 0;
  // By one thread: with more, a library may split a sum by how busy the machine is, and a resumed run would differ.
  parallel_for(1, 1, [&](int64_t, int) {
    const at::Tensor plain = forward_logits(model, input, window.first_row, {.layer_by_layer = true})[0];
    const at::Tensor base = sweep.base_logits(0);
    rows = plain.size(0);
    for (int64_t first = 0; first < rows; first += kRows) {
      const auto log_p = [&](const at::Tensor& logits) {
        return logits.narrow(0, first, std::min(kRows, rows - first)).to(at::kDouble).log_softmax(-1);
      };
      const at::Tensor p = log_p(plain);
      kl += (p.exp() * (p - log_p(base))).sum().item<double>();
    }
  });
  return kl / static_cast<double>(rows);
}

Measured joint_damage(const Model& model, const QuantizedWeights& quantized, Sweep& sweep, const EvaluationData& data) {
  Model all(model.config(), model.source());
  for (const TensorId& id : model.tensors())
    all.set_weight(id, is_matrix(id.role) ? quantized.make(id) : model.weight(id));
  return summarize(data, sweep.whole_model(all)).kl;
}

}  // namespace vernier
