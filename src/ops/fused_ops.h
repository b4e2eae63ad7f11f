#pragma once

// The operations of a forward pass without gradients on the CPU, on one thread, for one sequence or several of one length
// below each other: packed products, tiled attention, fused loops, buffers from the worker's arena. linear_add and
// add work in place on their residual.

#include <ATen/core/Tensor.h>

#include <functional>

#include "ops/arena.h"
#include "ops/block.h"
#include "ops/block_forward.h"
#include "ops/packed_attention.h"
#include "ops/repeated_rows.h"
#include "ops/rope.h"
#include "ops/stacked_linear.h"

namespace vernier {

struct FusedNorm {
  NormConfig config;
  at::Tensor weight, bias;  ///< float32; bias undefined without one
};

/// Heads lie in the columns of the qkv product: query heads, then key heads, then value heads.
using FusedBlock = BlockWeights<StackedLinear, FusedNorm>;

/// Called with the input of every linear site when set; the rows are one sequence's, of an expert those that it gets.
using SiteObserver = std::function<void(const SiteId&, const Slab&)>;

class FusedOps {
 public:
  using Value = Slab;
  using Block = FusedBlock;

  /// `rope` must cover the positions of a sequence. `watches`: the observer sees keys, values and attention too
  /// (is_watched_only in vernier/site.h). `sequences`: of equal length, whose rows are the values' T.
  FusedOps(Arena& arena, const RopeTables& rope, const SiteObserver* observer = nullptr, bool watches = false,
           int64_t sequences = 1)
      : arena_(arena), rope_(rope), observer_(observer), watches_(watches), sequences_(sequences) {}

  /// Rows of what is projected from now on of which many are the same, or nullptr: each is projected once.
  void set_repeats(const RepeatedRows* repeats) { repeats_ = repeats; }

  Slab norm(const FusedNorm& norm, const Slab& x);
  Slab linear(const StackedLinear& weight, const Slab& x);
  /// residual += weight(x); returns residual
  Slab linear_add(const StackedLinear& weight, const Slab& x, const Slab& residual);
  /// residual += x; returns residual
  Slab add(const Slab& x, const Slab& residual);
  /// Queries, keys and values of normed rows [T, query + 2 kv columns]; queries before `first_row` are undefined.
  Slab project(const FusedBlock& block, const Slab& x, int64_t first_row);
  /// qkv as project makes it is normed and rotated in place; returns [T - first_row, query columns]
  Slab attend(const FusedBlock& block, const Slab& qkv, int64_t first_row);
  /// Rows first_row ... of x += attention of the normed x, where neither what is normed nor what heads mix need ever be in
  /// float32: in bfloat16, of one sequence, with nobody who looks at them. @return whether so
  bool add_attention(const FusedBlock& block, const Slab& x, int64_t first_row);
  /// The hidden state of a feed-forward: act(gate) * up, or act(up).
  Slab activate(const FeedForwardConfig& config, const StackedLinear& in, const Slab& x);
  /// y += the feed-forward of the normed y (`norm` nullptr: of y), where neither what is normed nor the hidden state need
  /// ever be in float32: of a dense layer in bfloat16, gated by SiLU, with nobody who looks at them. @return whether so
  bool add_feed_forward(const FusedBlock& block, const FusedNorm* norm, const Slab& y);
  /// What the experts that each row chooses make of it, and the shared expert.
  Slab mix_experts(const FusedBlock& block, const Slab& x);
  /// Of each sequence those from first_row on: of a single one where they lie, of several a copy.
  Slab rows_from(const Slab& x, int64_t first_row);
  bool watches() const { return watches_; }
  void observe(const SiteId& site, const Slab& x) {
    if (observer_ != nullptr && *observer_) (*observer_)(site, x);
  }

  // The pieces of attend, for sweeps that recompute a single head.
  /// Norm of each head (optional) and rotation of `heads` heads side by side, in place, then times `scale`. x's rows are
  /// at positions first_position ...
  void rotate(const Slab& x, int64_t heads, const at::Tensor& head_norm, const LayerConfig& config, float scale,
              int64_t first_position);
  /// Attention of query heads side by side that read one KV head: q, out [T - first_row, heads * head_dim], k and v
  /// [T, head_dim]. `sinks`: their scores, or nullptr. `type`: what products are made of where the machine can; sums and
  /// exponentials are float32. `first_token` [T - first_row, heads]: how much of each query's attention lies there, where
  /// somebody asks, who then gets the general product.
  void attend_heads(ComputeType type, const Slab& q, const Slab& k, const Slab& v, int64_t first_row,
                    const AttentionConfig& config, const float* sinks, const PackedAttention::Results& out,
                    const Slab& first_token = {});
  Slab copy(const Slab& x);
  Arena& arena() { return arena_; }

 private:
  /// `product` of each of the repeated rows of x once, and of all of them in y.
  void project_once(const Slab& x, const Slab& y, const std::function<void(const Slab&, const Slab&)>& product);
  /// y = W norm(x), a block of rows at a time.
  void multiply_normed(const FusedNorm& norm, const PanelMatrix& weight, const Slab& x, const Slab& y);
  bool looked_at() const { return watches_ || (observer_ != nullptr && *observer_); }
  void norm_rows(const FusedNorm& norm, const Slab& x, const Slab& y);
  void attend_head(const Slab& q, const Slab& k, const Slab& v, int64_t first_row, const AttentionConfig& config,
                   const float* sink, const Slab& out, const Slab& first_token);
  /// Of one sequence, into `out`; as words only where heads have kernels of that type.
  void attend_sequence(const FusedBlock& block, const Slab& qkv, int64_t first_row,
                       const PackedAttention::Results& out);

  Arena& arena_;
  const RopeTables& rope_;
  const SiteObserver* observer_;
  bool watches_;
  int64_t sequences_;
  const RepeatedRows* repeats_ = nullptr;
};

/// What queries are multiplied by.
float query_scale(const AttentionConfig& config);

}  // namespace vernier
