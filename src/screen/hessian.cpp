#include "screen/hessian.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "base/counter_random.h"
#include "engine/aten_model.h"

namespace vernier {

namespace {

constexpr uint64_t kProbeStream = 0x50726F62;  // apart from the labels' random numbers

/// +1 and -1, half of each, as the values of a matrix.
at::Tensor random_signs(const at::Tensor& like, uint64_t seed, uint64_t probe, uint64_t matrix) {
  at::Tensor signs = at::empty(like.sizes(), like.options().requires_grad(false));
  float* values = signs.data_ptr<float>();
  for (int64_t i = 0; i < signs.numel(); ++i)
    values[i] = uniform_at(seed ^ kProbeStream ^ (matrix << 32), probe, static_cast<uint64_t>(i)) < 0.5 ? -1.0f : 1.0f;
  return signs;
}

std::vector<double> cell_sums(const SliceGrid& grid, const at::Tensor& values) {
  std::vector<double> sums;
  const auto& rows = grid.row_borders();
  const auto& cols = grid.col_borders();
  for (size_t r = 0; r + 1 < rows.size(); ++r)
    for (size_t c = 0; c + 1 < cols.size(); ++c)
      sums.push_back(values.narrow(0, rows[r], rows[r + 1] - rows[r])
                         .narrow(1, cols[c], cols[c + 1] - cols[c])
                         .sum(at::kDouble)
                         .item<double>());
  return sums;
}

}  // namespace

HessianProbes hessian_probes(const Model& model, const EvaluationData& data,
                             const std::map<TensorId, SliceGrid>& matrices, int probes, int64_t max_tokens,
                             uint64_t seed) {
  const c10::AutoGradMode with_gradients(true);
  const Model wide = to_float32(model, /*requires_grad=*/true);
  std::vector<at::Tensor> weights;
  for (const auto& [id, grid] : matrices) weights.push_back(wide.weight(id));
  HessianProbes found;
  for (int probe = 0; probe < probes; ++probe) {
    const TokenWindow& window = data.windows[static_cast<size_t>(probe) % data.windows.size()];
    const size_t length = std::min(window.tokens.size(), static_cast<size_t>(std::max<int64_t>(max_tokens, 2)));
    const std::vector<int64_t> ids(window.tokens.begin(), window.tokens.begin() + static_cast<int64_t>(length));
    const at::Tensor loss = language_model_loss(wide, at::tensor(ids, at::kLong).unsqueeze(0));
    const auto gradients = torch::autograd::grad({loss}, weights, {}, /*retain_graph=*/true, /*create_graph=*/true,
                                                 /*allow_unused=*/true);
    std::vector<at::Tensor> signs;
    at::Tensor along = at::zeros({}, loss.options());
    for (size_t m = 0; m < weights.size(); ++m) {
      signs.push_back(random_signs(weights[m], seed, static_cast<uint64_t>(probe), m));
      if (gradients[m].defined()) along = along + (gradients[m] * signs[m]).sum();
    }
    const auto products = torch::autograd::grad({along}, weights, {}, /*retain_graph=*/false, /*create_graph=*/false,
                                                /*allow_unused=*/true);
    const c10::AutoGradMode without(false);
    size_t m = 0;
    for (const auto& [id, grid] : matrices) {
      found[id].push_back(products[m].defined() ? cell_sums(grid, products[m] * signs[m])
                                                : std::vector<double>(grid.cells(), 0));
      ++m;
    }
  }
  return found;
}

}  // namespace vernier
