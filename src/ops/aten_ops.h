#pragma once

// The operations of a forward pass in differentiable ATen, for any device and any batch: every op has a second
// derivative, since curvature comes from differentiating twice.

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <vector>

#include "ops/activation_rounding.h"
#include "ops/block.h"
#include "ops/block_forward.h"
#include "ops/packed_product.h"

namespace vernier {

struct AtenLinear {
  at::Tensor weight, bias;      ///< [out, in]; [out] or undefined
  InputRounding rounding = {};  ///< to integers, or none
  at::Tensor kept = {};         ///< multiplies the channels that the rounding keeps; undefined: weight does
  std::shared_ptr<const PackedProduct> packed = {};  ///< multiplies in place of weight and bias
};

/// x as it is multiplied. The gradient goes straight through the rounding (arXiv 1308.3432), and is 0 beyond a given range.
/// @throws Error{kInternal} for a kernel's rounding
at::Tensor rounded(const InputRounding& rounding, const at::Tensor& x);

struct AtenNorm {
  NormConfig config;
  at::Tensor weight, bias;
};

/// Matrices that are fed the same rows, one output beside the other.
using AtenStack = std::vector<AtenLinear>;
using AtenBlock = BlockWeights<AtenStack, AtenNorm>;

/// Called with the input of every linear site when set: [batch, time, width], of an expert [rows that it gets, width].
using AtenObserver = std::function<void(const SiteId&, const at::Tensor&)>;

/// Keys and values of a layer's tokens so far, to which those of new ones are added.
struct KeptTokens {
  at::Tensor keys, values;  ///< [batch, kv_heads, longest, head_dim], once there are some
  int64_t longest = 0, count = 0;
};

/// cos and sin of the positions' angles [time, head_dim], both halves of a head.
struct AtenAngles {
  at::Tensor cos, sin;
  AtenAngles of(int64_t first, int64_t time) const { return {cos.narrow(0, first, time), sin.narrow(0, first, time)}; }
};

class AtenOps {
 public:
  using Value = at::Tensor;  ///< [batch, time, width]
  using Block = AtenBlock;

  /// `windowed`: of layers with a window.
  /// `watches`: the observer sees keys, values and attention too (is_watched_only in vernier/site.h).
  AtenOps(AtenAngles angles, AtenAngles windowed, const AtenObserver* observer = nullptr, bool watches = false)
      : angles_(std::move(angles)), windowed_(std::move(windowed)), observer_(observer), watches_(watches) {}

  at::Tensor norm(const AtenNorm& norm, const at::Tensor& x) const;
  at::Tensor linear(const AtenStack& parts, const at::Tensor& x) const;
  at::Tensor linear_add(const AtenStack& linear, const at::Tensor& x, const at::Tensor& residual) const;
  at::Tensor add(const at::Tensor& x, const at::Tensor& residual) const;
  at::Tensor project(const AtenBlock& block, const at::Tensor& x, int64_t) const { return linear(block.qkv, x); }
  at::Tensor attend(const AtenBlock& block, const at::Tensor& qkv, int64_t first_row) const;
  at::Tensor activate(const FeedForwardConfig& config, const AtenStack& in, const at::Tensor& x) const;
  at::Tensor mix_experts(const AtenBlock& block, const at::Tensor& x) const;
  at::Tensor rows_from(const at::Tensor& x, int64_t first_row) const;
  bool watches() const { return watches_; }
  /// Attention that is neither watched nor capped, without sinks and windows, by attention_kernel.h, where there is one.
  void use_kernel_attention(bool on) { kernel_attention_ = on; }
  /// No second derivative is asked for, and none by sinks: attention_by_group, which keeps no scores.
  void use_grouped_attention(bool on) { grouped_attention_ = on; }
  /// No second derivative is asked for: norms by the tensor library's own kernel, a third of the memory's traffic.
  void use_kernel_norms(bool on) { kernel_norms_ = on; }
  /// What comes in are tokens behind those that are kept, by layer; they are kept as well. No gradients.
  void keep_tokens(std::vector<KeptTokens>* kept) { kept_ = kept; }
  void observe(const SiteId& site, const at::Tensor& x) const {
    if (observer_ != nullptr && *observer_) (*observer_)(site, x);
  }

 private:
  /// Attention in bfloat16 and no second derivative: products are in it too, and what lies between them may be
  /// (gpu_ops.h).
  bool in_bfloat16() const { return kernel_attention_ && kernel_norms_; }
  bool by_kernel(const AtenBlock& block) const;
  at::Tensor rotate(const AttentionConfig& config, const at::Tensor& heads) const;

  AtenAngles angles_, windowed_;
  const AtenObserver* observer_;
  std::vector<KeptTokens>* kept_ = nullptr;
  bool watches_, kernel_attention_ = false, grouped_attention_ = false, kernel_norms_ = false;
};

}  // namespace vernier
