#pragma once

// The operations of a forward pass without gradients on the CPU, for one sequence on one thread: packed oneDNN
// products, tiled causal attention, fused loops, buffers from the worker's arena. linear_add works in place on its
// residual.

#include <ATen/core/Tensor.h>

#include <functional>

#include "model/forward.h"
#include "ops/arena.h"
#include "ops/rope.h"
#include "ops/stacked_linear.h"

namespace vernier {

/// How heads lie in the columns of the fused qkv product: query heads, then key heads, then value heads.
struct AttentionShape {
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  int64_t window = 0;  ///< 0: every earlier position
  float norm_epsilon = 0;
  at::Tensor q_norm, k_norm;  ///< [head_dim] or undefined

  int64_t query_columns() const { return heads * head_dim; }
  int64_t kv_columns() const { return kv_heads * head_dim; }
  int64_t queries_per_kv() const { return heads / kv_heads; }
};

struct FusedNorm {
  at::Tensor weight;  ///< float32
  float epsilon = 0;
};

struct FusedBlock {
  int layer = 0;
  FusedNorm attn_norm, ffn_norm;
  AttentionShape attention;
  StackedLinear qkv, attn_output, gate_up, ffn_down;
};

/// Called with the input of every linear site when set; the rows are one sequence's.
using SiteObserver = std::function<void(Site, int layer, const Slab&)>;

class FusedOps {
 public:
  using Value = Slab;
  using Block = FusedBlock;

  /// `rope` must cover the positions of the sequence.
  FusedOps(Arena& arena, const RopeTable& rope, const SiteObserver* observer = nullptr)
      : arena_(arena), rope_(rope), observer_(observer) {}

  Slab norm(const FusedNorm& norm, const Slab& x);
  Slab linear(const StackedLinear& weight, const Slab& x);
  /// residual += weight(x); returns residual
  Slab linear_add(const StackedLinear& weight, const Slab& x, const Slab& residual);
  /// qkv [T, query + 2 kv columns] is normed and rotated in place; returns [T - first_row, query columns]
  Slab attend(const FusedBlock& block, const Slab& qkv, int64_t first_row);
  Slab gated(const StackedLinear& gate_up, const Slab& x);
  Slab rows_from(const Slab& x, int64_t first_row) { return x.rows_from(first_row); }
  void observe(Site site, int layer, const Slab& x) {
    if (observer_ != nullptr && *observer_) (*observer_)(site, layer, x);
  }

  // The pieces of attend, for sweeps that recompute a single head.
  /// Norm (optional) and rotation of `heads` heads side by side, in place. `scale` is folded into the queries.
  void rotate(const Slab& x, int64_t heads, const at::Tensor& head_norm, const AttentionShape& shape, float scale);
  /// Causal attention of one query head: q, out [T - first_row, head_dim], k and v [T, head_dim].
  void attend_head(const Slab& q, const Slab& k, const Slab& v, int64_t first_row, int64_t window, const Slab& out);
  float query_scale(const AttentionShape& shape) const;
  Slab copy(const Slab& x);
  Arena& arena() { return arena_; }

 private:
  Arena& arena_;
  const RopeTable& rope_;
  const SiteObserver* observer_;
};

}  // namespace vernier
