#include "ops/grouped_attention.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <bit>
#include <cmath>
#include <limits>

#include "ops/mixed_arithmetic.h"

namespace vernier {

at::Tensor hidden_positions(const AttentionConfig& config, int64_t time, const at::Device& device, int64_t first) {
  if ((!config.causal || first + 1 == time) && config.window <= 0) return {};
  const at::Tensor position = at::arange(time, at::TensorOptions(device).dtype(at::kLong));
  const at::Tensor distance = position.narrow(0, first, time - first).unsqueeze(1) - position.unsqueeze(0);
  at::Tensor hidden = config.causal ? distance < 0 : at::zeros_like(distance, at::kBool);
  return config.window > 0 ? hidden.logical_or(distance >= config.window) : hidden;
}

at::Tensor attention_weights(const AttentionConfig& config, const at::Tensor& q, const at::Tensor& k,
                             const at::Tensor& hidden, const at::Tensor& sinks) {
  const int64_t batch = q.size(0), heads = q.size(1), queries = q.size(2), time = k.size(2);
  at::Tensor scores = matrix_product(q, k.transpose(-1, -2));
  scores = config.scale > 0 ? scores * config.scale : scores / std::sqrt(static_cast<double>(q.size(3)));
  if (config.soft_cap > 0) scores = (scores / config.soft_cap).tanh() * config.soft_cap;
  if (hidden.defined()) scores = scores.masked_fill(hidden, -std::numeric_limits<double>::infinity());
  if (sinks.defined()) scores = at::cat({scores, sinks.view({1, heads, 1, 1}).expand({batch, heads, queries, 1})}, -1);
  return scores.softmax(-1).narrow(-1, 0, time);
}

namespace {

/// The query heads of one key/value head.
struct Group {
  at::Tensor q, k, v, sinks;
};

Group group_of(const AttentionConfig& config, int64_t kv_head, const at::Tensor& q, const at::Tensor& k,
               const at::Tensor& v, const at::Tensor& sinks) {
  const int64_t heads = config.queries_per_kv(), first = kv_head * heads;
  return {q.narrow(1, first, heads), k.narrow(1, kv_head, 1), v.narrow(1, kv_head, 1),
          sinks.defined() ? sinks.narrow(0, first, heads) : at::Tensor()};
}

at::Tensor attend(const AttentionConfig& config, const Group& group, const at::Tensor& hidden) {
  return matrix_product(attention_weights(config, group.q, group.k, hidden, group.sinks), group.v);
}

struct ByGroup : torch::autograd::Function<ByGroup> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& q, const at::Tensor& k,
                            const at::Tensor& v, const at::Tensor* given, const AttentionConfig* config) {
    const at::Tensor sinks = *given;  // no argument of its own: it may be undefined
    const at::Tensor hidden = hidden_positions(*config, q.size(2), q.device());
    context->saved_data["config"] = std::bit_cast<int64_t>(config);
    if (sinks.defined()) context->saved_data["sinks"] = sinks;
    context->save_for_backward({q, k, v});
    at::Tensor out = at::empty_like(q, at::MemoryFormat::Contiguous);
    for (int64_t kv = 0; kv < config->kv_heads; ++kv) {
      const Group group = group_of(*config, kv, q, k, v, sinks);
      out.narrow(1, kv * config->queries_per_kv(), config->queries_per_kv()).copy_(attend(*config, group, hidden));
    }
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto& config = *std::bit_cast<const AttentionConfig*>(context->saved_data["config"].toInt());
    const torch::autograd::variable_list saved = context->get_saved_variables();
    const at::Tensor q = saved[0].detach(), k = saved[1].detach(), v = saved[2].detach();
    const auto found_sinks = context->saved_data.find("sinks");
    const at::Tensor sinks = found_sinks != context->saved_data.end() ? found_sinks->second.toTensor() : at::Tensor();
    const at::Tensor hidden = hidden_positions(config, q.size(2), q.device());
    std::vector<at::Tensor> found;
    for (const at::Tensor& each : {q, k, v}) found.push_back(at::empty_like(each, at::MemoryFormat::Contiguous));
    const c10::AutoGradMode with_gradients(true);
    for (int64_t kv = 0; kv < config.kv_heads; ++kv) {
      Group group = group_of(config, kv, q, k, v, sinks);
      for (at::Tensor* each : {&group.q, &group.k, &group.v}) *each = each->detach().requires_grad_(true);
      const int64_t heads = config.queries_per_kv(), first = kv * heads;
      const std::vector<at::Tensor> own = torch::autograd::grad(
          {attend(config, group, hidden)}, {group.q, group.k, group.v}, {gradients[0].narrow(1, first, heads)});
      const c10::AutoGradMode without(false);
      found[0].narrow(1, first, heads).copy_(own[0]);
      found[1].narrow(1, kv, 1).copy_(own[1]);
      found[2].narrow(1, kv, 1).copy_(own[2]);
    }
    return {found[0], found[1], found[2], at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor attention_by_group(const AttentionConfig& config, const at::Tensor& q, const at::Tensor& k,
                              const at::Tensor& v, const at::Tensor& sinks) {
  return ByGroup::apply(q, k, v, &sinks, &config);
}

at::Tensor attention_of_last(const AttentionConfig& config, const at::Tensor& q, const at::Tensor& k,
                             const at::Tensor& v, const at::Tensor& sinks) {
  const int64_t time = k.size(2), last = q.size(2);
  const at::Tensor hidden = hidden_positions(config, time, q.device(), time - last);
  if (last == 1 && !sinks.defined()) {  // the queries of a key/value head see the same: rows of one product
    const at::Tensor rows = q.reshape({q.size(0), config.kv_heads, config.queries_per_kv(), q.size(3)});
    return matrix_product(attention_weights(config, rows, k, hidden, {}), v).reshape(q.sizes());
  }
  std::vector<at::Tensor> groups;
  for (int64_t kv = 0; kv < config.kv_heads; ++kv)
    groups.push_back(attend(config, group_of(config, kv, q, k, v, sinks), hidden));
  return at::cat(groups, 1);
}

}  // namespace vernier
