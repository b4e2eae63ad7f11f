#include "ops/aten_ops.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/fail.h"
#include "ops/activation.h"
#include "ops/attention_kernel.h"
#include "ops/gpu_ops.h"
#include "ops/grouped_attention.h"
#include "ops/mixed_arithmetic.h"
#include "ops/site_rounding.h"
#include "ops/straight_through.h"
#include "ops/torch_version.h"

namespace vernier {

namespace {

/// On the grid of whole numbers, in float32. On the CPU by the loops that read a row once and write it once: plain operations
/// take nine passes.
at::Tensor rounded_rows(const InputRounding& rounding, const at::Tensor& x) {
  const at::Tensor wide = x.detach().to(at::kFloat);
  if (wide.is_cpu() && wide.dim() > 0) {
    const at::Tensor rows = wide.contiguous();
    at::Tensor out = at::empty_like(rows);
    const int64_t cols = rows.size(-1), count = cols > 0 ? rows.numel() / cols : 0;
    const Slab from{rows.data_ptr<float>(), count, cols, cols}, to{out.data_ptr<float>(), count, cols, cols};
    constexpr int64_t kNumbersAtOnce = 1 << 16;  // of which a thread is worth waking
    at::parallel_for(0, count, kNumbersAtOnce / std::max<int64_t>(cols, 1) + 1, [&](int64_t first, int64_t last) {
      round_activations(rounding, from.row_range(first, last - first), to.row_range(first, last - first));
    });
    return out;
  }
  const at::Tensor largest =
      rounding.range > 0 ? at::full({1}, rounding.range, wide.options()) : wide.abs().amax(-1, /*keepdim=*/true);
  const double most = largest_code(rounding.bits);
  const at::Tensor step = largest / most;
  const at::Tensor values = (wide / step).clamp(-most, most).round() * step;
  return at::where(step == 0, at::zeros_like(values), values);
}

at::Tensor multiply(const AtenLinear& linear, const at::Tensor& x) {
  if (linear.packed != nullptr) return linear.packed->of(rounded(linear.rounding, x));
  // In one pass. On a GPU with mixed arithmetic the sum stays in float32; screens add biases of their own to every row.
  if (!linear.kept.defined() && linear.bias.defined() && linear.bias.dim() == 1 && x.is_cpu() &&
      (x.scalar_type() != at::kBFloat16 || multiplies_bfloat16(x.device())))
    return at::linear(rounded(linear.rounding, x), linear.weight, linear.bias);
  at::Tensor y;
  if (linear.kept.defined()) {
    const at::Tensor kept = kept_channels(*linear.rounding.site, x);
    y = matrix_product(rounded(linear.rounding, x) - kept, linear.weight.t()) + matrix_product(kept, linear.kept.t());
  } else {
    y = matrix_product(rounded(linear.rounding, x), linear.weight.t());
  }
  return linear.bias.defined() ? y + linear.bias : y;
}

bool is_plain(const AtenLinear& linear) {
  return linear.packed == nullptr && !linear.kept.defined() && !linear.bias.defined() && linear.rounding.none();
}

/// One matrix below the other, where one product of them is what their own are: with mixed arithmetic what they multiply is
/// then rounded and narrowed once. On a GPU only those that is_plain says: others keep their sums in float32.
std::optional<AtenLinear> one_below_the_other(const AtenStack& parts, const at::Tensor& x) {
  const bool on_cpu = x.is_cpu();
  const bool has_bias = parts[0].bias.defined();
  if (!(on_cpu ? products_are_mixed(x.device()) : is_plain(parts[0]))) return std::nullopt;
  std::vector<at::Tensor> weights, biases;
  for (const AtenLinear& part : parts) {
    const bool alike = part.packed == nullptr && !part.kept.defined() && part.rounding == parts[0].rounding &&
                       part.bias.defined() == has_bias && (!has_bias || part.bias.dim() == 1);
    if (!alike) return std::nullopt;
    weights.push_back(part.weight);
    if (has_bias) biases.push_back(part.bias);
  }
  return AtenLinear{at::cat(weights, 0), has_bias ? at::cat(biases, 0) : at::Tensor(), parts[0].rounding};
}

at::Tensor rms(const at::Tensor& product, double epsilon) {
  const at::Tensor x = widened(product);
  return x * at::rsqrt(x.square().mean(-1, /*keepdim=*/true) + epsilon);
}

/// Pairs of numbers half a head apart, turned. The gradient is turned back: three passes over the heads, where a chain of
/// plain operations takes eight.
struct Turn : torch::autograd::Function<Turn> {
  static at::Tensor turned(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, double way) {
    const int64_t half = x.size(-1) / 2;
    at::Tensor out = x * cos;
    out.narrow(-1, 0, half).addcmul_(x.narrow(-1, half, half), sin.narrow(-1, 0, half), -way);
    out.narrow(-1, half, half).addcmul_(x.narrow(-1, 0, half), sin.narrow(-1, half, half), way);
    return out;
  }
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const at::Tensor& cos,
                            const at::Tensor& sin, double way) {
    context->save_for_backward({cos, sin});
    context->saved_data["way"] = way;
    context->saved_data["type"] = x.scalar_type();
    return turned(x, cos, sin, way);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const torch::autograd::variable_list saved = context->get_saved_variables();
    const at::Tensor own = apply(gradients[0], saved[0], saved[1], -context->saved_data["way"].toDouble());
    return {own.to(context->saved_data["type"].toScalarType()), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

/// Keys or values [batch, heads, time, width] as the cache holds them: by the same loops as on the CPU.
at::Tensor cached(const CacheFormat& format, const at::Tensor& x) {
  if (format == CacheFormat()) return x;
  const int64_t heads = x.size(1), columns = heads * x.size(3);
  const at::Tensor rows =
      x.detach().transpose(1, 2).reshape({-1, columns}).to(at::kCPU, at::kFloat).contiguous().clone();
  round_cache(format, {rows.data_ptr<float>(), rows.size(0), columns, columns}, heads);
  return rows.reshape({x.size(0), x.size(2), heads, x.size(3)}).transpose(1, 2).to(x.options());
}

/// Behind those that are kept, in whatever type a product gives. @return all of them
std::pair<at::Tensor, at::Tensor> kept_with(KeptTokens& kept, const at::Tensor& keys, const at::Tensor& values) {
  const int64_t fresh = keys.size(2);
  if (!kept.keys.defined()) {
    const std::vector<int64_t> shape{keys.size(0), keys.size(1), kept.longest, keys.size(3)};
    kept.keys = at::empty(shape, values.options());
    kept.values = at::empty(shape, values.options());
  }
  kept.keys.narrow(2, kept.count, fresh).copy_(keys);
  kept.values.narrow(2, kept.count, fresh).copy_(values);
  kept.count += fresh;
  return {kept.keys.narrow(2, 0, kept.count), kept.values.narrow(2, 0, kept.count)};
}

}  // namespace

at::Tensor rounded(const InputRounding& rounding, const at::Tensor& x) {
  if (rounding.none()) return x;
  if (rounding.site != nullptr) return round_site(*rounding.site, x.detach().to(at::kFloat)).to(x.scalar_type());
  if (rounding.bits == 0) fail(ErrorKind::kInternal, "plain operations do not round as llama.cpp's kernels do");
  const at::Tensor out = rounded_rows(rounding, x).to(x.scalar_type());
  if (!x.requires_grad()) return out;
  return with_gradient_of(rounding.range > 0 ? x.clamp(-rounding.range, rounding.range) : x, out);
}

at::Tensor AtenOps::norm(const AtenNorm& norm, const at::Tensor& product) const {
  const at::Tensor x = widened(product);
  if (kernel_norms_ && norm.config.kind == NormConfig::Kind::kLayer)
    return at::layer_norm(x, {x.size(-1)}, norm.weight, norm.bias, norm.config.epsilon);
  if (in_bfloat16() && norm.config.kind == NormConfig::Kind::kRms && !norm.bias.defined() &&
      gpu::takes_norm(x, norm.weight))
    return gpu::rms_norm(x, norm.weight, norm.config.epsilon);
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 9)  // one kernel, on a GPU
  if (kernel_norms_ && x.is_cuda() && norm.config.kind == NormConfig::Kind::kRms && !norm.bias.defined())
    return at::rms_norm(x, {x.size(-1)}, norm.weight, norm.config.epsilon);
#endif
  const at::Tensor centred = norm.config.kind == NormConfig::Kind::kRms ? x : x - x.mean(-1, /*keepdim=*/true);
  const at::Tensor scaled = rms(centred, norm.config.epsilon) * norm.weight;
  return norm.bias.defined() ? scaled + norm.bias : scaled;
}

at::Tensor AtenOps::linear(const AtenStack& parts, const at::Tensor& x) const {
  if (parts.size() == 1) return multiply(parts[0], x);
  if (in_bfloat16() || (x.is_cpu() && kept_ == nullptr))  // of single tokens the joining would be the work
    if (const std::optional<AtenLinear> together = one_below_the_other(parts, x)) return multiply(*together, x);
  std::vector<at::Tensor> columns;
  for (const AtenLinear& part : parts) columns.push_back(multiply(part, x));
  return at::cat(columns, -1);
}

at::Tensor AtenOps::linear_add(const AtenStack& stack, const at::Tensor& x, const at::Tensor& residual) const {
  return residual + linear(stack, x);
}

at::Tensor AtenOps::add(const at::Tensor& x, const at::Tensor& residual) const { return residual + x; }

at::Tensor AtenOps::rotate(const AttentionConfig& config, const at::Tensor& heads) const {
  const AtenAngles& angles = config.window > 0 ? windowed_ : angles_;
  return Turn::apply(heads, angles.cos, angles.sin, 1.0);
}

bool AtenOps::by_kernel(const AtenBlock& block) const {
  const AttentionConfig& config = block.config.attention;
  return kernel_attention_ && has_attention_kernel() && !watches_ && config.soft_cap <= 0 && config.window <= 0 &&
         !block.sinks.defined();
}

at::Tensor AtenOps::attend(const AtenBlock& block, const at::Tensor& qkv, int64_t first_row) const {
  const AttentionConfig& config = block.config.attention;
  if (in_bfloat16() && by_kernel(block) && kept_ == nullptr && !grouped_attention_ && !block.q_norm.defined() &&
      !block.k_norm.defined() && block.cache.keys == CacheFormat() && block.cache.values == CacheFormat() &&
      gpu::takes_heads(config, qkv)) {
    const gpu::TurnedHeads own = gpu::turned_heads(config, qkv, angles_.cos, angles_.sin);
    return rows_from(attention_by_kernel(own.q, own.k, own.v, config.causal, config.scale)
                         .transpose(1, 2)
                         .reshape({qkv.size(0), qkv.size(1), config.query_columns()}),
                     first_row);
  }
  const int64_t batch = qkv.size(0), time = qkv.size(1), width = config.head_dim;
  const auto split = [&](int64_t first, int64_t heads, const at::Tensor& norm_weight) {
    at::Tensor part = qkv.narrow(-1, first * width, heads * width);
    const bool together = config.qk_norm == AttentionConfig::QkNorm::kAllHeads;
    if (norm_weight.defined() && together) part = rms(part, block.config.norm.epsilon) * norm_weight;
    part = part.reshape({batch, time, heads, width});
    if (norm_weight.defined() && !together) part = rms(part, block.config.norm.epsilon) * norm_weight;
    return part.transpose(1, 2);  // [batch, heads, time, width]
  };
  const auto turned = [&](const at::Tensor& heads) { return config.rotary ? rotate(config, heads) : heads; };
  const auto kept = [&](Site site, const CacheFormat& format, const at::Tensor& heads) {
    if (watches_) observe({site, block.layer}, heads.transpose(1, 2).reshape({batch, time, config.kv_columns()}));
    return cached(format, heads);
  };
  const at::Tensor q = turned(split(0, config.heads, block.q_norm));
  const at::Tensor own_k =
      kept(Site::kKeys, block.cache.keys, turned(split(config.heads, config.kv_heads, block.k_norm)));
  const at::Tensor own_v =
      kept(Site::kValues, block.cache.values, split(config.heads + config.kv_heads, config.kv_heads, {}));
  if (kept_ != nullptr) {
    const auto [k, v] = kept_with((*kept_)[static_cast<size_t>(block.layer)], own_k, own_v);
    return rows_from(
        attention_of_last(config, q, k, v, block.sinks).transpose(1, 2).reshape({batch, time, config.query_columns()}),
        first_row);
  }
  if (grouped_attention_ && !watches_)
    return rows_from(attention_by_group(config, q, own_k, own_v, block.sinks)
                         .transpose(1, 2)
                         .reshape({batch, time, config.query_columns()}),
                     first_row);

  const auto share = [&](const at::Tensor& kv) {  // every query head its own view of the key/value head
    return kv.unsqueeze(2)
        .expand({batch, config.kv_heads, config.queries_per_kv(), time, width})
        .reshape({batch, config.heads, time, width});
  };
  const at::Tensor k = share(own_k), v = share(own_v);

  if (by_kernel(block))
    return rows_from(attention_by_kernel(q, k, v, config.causal, config.scale)
                         .transpose(1, 2)
                         .reshape({batch, time, config.query_columns()}),
                     first_row);
  const at::Tensor weights = attention_weights(config, q, k, hidden_positions(config, time, qkv.device()), block.sinks);
  if (watches_)
    observe({Site::kFirstTokenShare, block.layer}, rows_from(weights.select(-1, 0).transpose(1, 2), first_row));
  const at::Tensor heads = matrix_product(weights, v).transpose(1, 2).reshape({batch, time, config.query_columns()});
  return rows_from(heads, first_row);
}

at::Tensor AtenOps::activate(const FeedForwardConfig& config, const AtenStack& in, const at::Tensor& x) const {
  const at::Tensor first = multiply(in[0], x), second = config.gated ? multiply(in[1], x) : at::Tensor();
  if (in_bfloat16() && gpu::takes_gate(config, first, second)) return gpu::gated_silu(first, second);
  return apply_activation(config, first, second);
}

at::Tensor AtenOps::mix_experts(const AtenBlock& block, const at::Tensor& x) const {
  const FeedForwardConfig& config = block.config.feed_forward;
  const at::Tensor rows = x.reshape({-1, x.size(-1)});
  const at::Tensor shares = widened(linear(block.router, rows)).softmax(-1);
  auto [weights, chosen] = shares.topk(config.experts.used, -1);
  if (config.experts.normalize) weights = weights / weights.sum(-1, /*keepdim=*/true);
  at::Tensor sum = at::zeros(rows.sizes(), weights.options());  // which mixed arithmetic keeps wide
  for (size_t e = 0; e < block.experts.size(); ++e) {
    const at::Tensor takes = chosen == static_cast<int64_t>(e);  // [rows, used]
    const at::Tensor index = takes.any(-1).nonzero().squeeze(-1);
    if (index.numel() == 0) continue;
    const at::Tensor own = rows.index_select(0, index);
    const auto expert = static_cast<int>(e);
    observe({Site::kFfnInput, block.layer, expert}, own);
    const at::Tensor hidden = activate(config, block.experts[e].in, own);
    observe({Site::kFfnDownInput, block.layer, expert}, hidden);
    const at::Tensor weight = (weights * takes).sum(-1).index_select(0, index).unsqueeze(-1);
    sum = sum.index_add(0, index, linear(block.experts[e].down, hidden) * weight);
  }
  if (config.experts.shared_intermediate > 0) {
    const at::Tensor hidden = activate(config, block.shared.in, rows);
    observe({Site::kSharedDownInput, block.layer}, hidden);
    at::Tensor out = linear(block.shared.down, hidden);
    if (config.experts.shared_switch) out = out * linear(block.shared_switch, rows).sigmoid();
    sum = sum + out;
  }
  return sum.reshape(x.sizes());
}

at::Tensor AtenOps::rows_from(const at::Tensor& x, int64_t first_row) const {
  return first_row == 0 ? x : x.narrow(1, first_row, x.size(1) - first_row);
}

}  // namespace vernier
