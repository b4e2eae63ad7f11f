#include "ops/activation.h"

#include <ATen/ATen.h>

#include <array>

#include "ops/kernels.h"

namespace vernier {

namespace {

struct ActivationRow {
  void (*gated)(const Slab& gate_up, const Slab& out);
  void (*plain)(const Slab& x, const Slab& out);
  at::Tensor (*tensor)(const at::Tensor& x);
};

// In the order of Activation.
constexpr std::array<ActivationRow, 5> kRows = {{
    {silu_multiply, silu, [](const at::Tensor& x) { return at::silu(x); }},
    {gelu_multiply, gelu, [](const at::Tensor& x) { return at::gelu(x); }},
    {gelu_tanh_multiply, gelu_tanh, [](const at::Tensor& x) { return at::gelu(x, "tanh"); }},
    {relu_multiply, relu, [](const at::Tensor& x) { return at::relu(x); }},
    {quick_gelu_multiply, quick_gelu, [](const at::Tensor& x) { return x * at::sigmoid(x * 1.702); }},
}};

const ActivationRow& row_of(const FeedForwardConfig& config) { return kRows[static_cast<size_t>(config.activation)]; }

}  // namespace

void apply_activation(const FeedForwardConfig& config, const Slab& in, const Slab& out) {
  const ActivationRow& row = row_of(config);
  (config.gated ? row.gated : row.plain)(in, out);
}

at::Tensor apply_activation(const FeedForwardConfig& config, const at::Tensor& gate, const at::Tensor& up) {
  const at::Tensor activated = row_of(config).tensor(gate);
  return up.defined() ? activated * up : activated;
}

}  // namespace vernier
