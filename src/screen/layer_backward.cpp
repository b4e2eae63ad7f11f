#include "screen/layer_backward.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <map>

#include "base/fail.h"
#include "model/block_layout.h"

namespace vernier {

namespace {

/// A product on its way: what went in, and a bias of its own for every row, whose gradient is that of what comes out.
struct Tap {
  TensorId id;
  at::Tensor inputs, row_bias;
};

at::Tensor row_bias(const AtenLinear& linear, const at::Tensor& inputs) {
  // Of one sequence rows alone, since experts multiply them so.
  const bool several = inputs.dim() == 3 && inputs.size(0) > 1;
  const int64_t rows = inputs.numel() / inputs.size(-1), out = linear.weight.size(0);
  const std::vector<int64_t> shape =
      several ? std::vector<int64_t>{inputs.size(0), inputs.size(1), out} : std::vector<int64_t>{rows, out};
  // One row, or one zero, seen as all of them: only its gradient has a row for each.
  const at::Tensor one = linear.bias.defined() ? linear.bias.detach() : at::zeros({1}, linear.weight.options());
  return one.expand(shape).requires_grad_(true);
}

}  // namespace

at::Tensor layer_forward(const AtenModel& model, AtenOps& ops, const AtenBlock& block, int64_t first_row,
                         const at::Tensor& stream) {
  const int depth = model.config().depth();
  if (block.layer + 1 < depth) return run_block(ops, block, stream, 0);
  return model.finish(ops, run_block(ops, block, stream, first_row), depth, 0);
}

at::Tensor layer_backward(const AtenModel& model, const Blueprint& blueprint, const AtenBlock& block, int64_t first_row,
                          const at::Tensor& stream, const at::Tensor& gradient, const MatrixVisitor& visit) {
  const LeavingGradient known = [&](const at::Tensor&) { return gradient; };
  return layer_backward(model, blueprint, block, first_row, stream, known, visit);
}

at::Tensor layer_backward(const AtenModel& model, const Blueprint& blueprint, const AtenBlock& block, int64_t first_row,
                          const at::Tensor& stream, const LeavingGradient& gradient, const MatrixVisitor& visit) {
  const c10::AutoGradMode with_gradients(true);
  AtenBlock own = block;
  std::map<SiteId, std::vector<std::pair<TensorId, AtenLinear*>>> fed;
  for_each_product(own, [&](AtenStack& part, const std::vector<TensorId>& ids) {
    for (size_t i = 0; i < ids.size(); ++i) fed[*blueprint.at(ids[i]).input].emplace_back(ids[i], &part[i]);
  });
  std::vector<Tap> taps;
  const AtenObserver observer = [&](const SiteId& site, const at::Tensor& x) {
    const auto it = fed.find(site);
    if (it == fed.end()) return;
    for (const auto& [id, linear] : it->second) {  // the products with x are still to come
      linear->bias = row_bias(*linear, x);
      taps.push_back({id, x.detach().reshape({-1, x.size(-1)}), linear->bias});
    }
  };
  AtenOps ops = model.ops(stream.size(1), &observer);
  ops.use_grouped_attention(true);
  const at::Tensor entering = stream.detach().requires_grad_(true);
  at::Tensor leaving = layer_forward(model, ops, own, first_row, entering);

  std::vector<at::Tensor> leaves{entering};
  for (const Tap& tap : taps) leaves.push_back(tap.row_bias);
  std::vector<at::Tensor> gradients = torch::autograd::grad({leaving}, leaves, {gradient(leaving.detach())});
  leaving.reset();
  const c10::AutoGradMode without(false);
  for (size_t t = 0; t < taps.size(); ++t) {
    visit(taps[t].id, taps[t].inputs, gradients[t + 1]);
    taps[t] = {};
    gradients[t + 1].reset();
  }
  return gradients[0];
}

}  // namespace vernier
