#pragma once

// The forward pass of a block, written once over a set of operations and driven by the layer's description. Two sets
// exist: AtenOps (differentiable, any device) and FusedOps (no gradients, CPU, packed weights, one sequence per thread).
// Both must agree within rounding.
//
// An Ops has a Value (activations of some rows), a Block (a layer's weights in its own layout) and the members used
// below. linear_add may work in place on its residual.

#include <cstdint>

#include "vernier/site.h"

namespace vernier {

/// residual + linear(x), with a norm of what is added where the layer has one.
template <class Ops, class Linear, class Norm>
typename Ops::Value add_output(Ops& ops, const Linear& linear, const Norm* post_norm, const typename Ops::Value& x,
                               const typename Ops::Value& residual) {
  if (post_norm == nullptr) return ops.linear_add(linear, x, residual);
  return ops.add(ops.norm(*post_norm, ops.linear(linear, x)), residual);
}

/// What the feed-forward makes of its normed input, added to `residual`.
template <class Ops>
typename Ops::Value add_feed_forward(Ops& ops, const typename Ops::Block& block, const typename Ops::Value& normed,
                                     const typename Ops::Value& residual) {
  const auto* post_norm = block.config.post_norm ? &block.ffn_post_norm : nullptr;
  const FeedForwardConfig& config = block.config.feed_forward;
  ops.observe({Site::kFfnInput, block.layer}, normed);
  if (config.experts.count == 0) {
    auto hidden = ops.activate(config, block.ffn.in, normed);
    ops.observe({Site::kFfnDownInput, block.layer}, hidden);
    return add_output(ops, block.ffn.down, post_norm, hidden, residual);
  }
  auto mixed = ops.mix_experts(block, normed);
  return ops.add(post_norm == nullptr ? mixed : ops.norm(*post_norm, mixed), residual);
}

/// The feed-forward half of a layer whose halves follow each other, on what attention left.
template <class Ops>
typename Ops::Value run_ffn(Ops& ops, const typename Ops::Block& block, const typename Ops::Value& y) {
  const auto* norm = block.config.pre_norm ? &block.ffn_norm : nullptr;
  // A set of operations may have all of it in one.
  if constexpr (requires { ops.add_feed_forward(block, norm, y); })
    if (ops.add_feed_forward(block, norm, y)) return y;
  return add_feed_forward(ops, block, norm != nullptr ? ops.norm(*norm, y) : y, y);
}

/// x: residual stream entering the block. Rows before `first_row` are needed only as keys and values, so the result
/// holds rows first_row ... : in the last block nothing else is ever read.
template <class Ops>
typename Ops::Value run_block(Ops& ops, const typename Ops::Block& block, const typename Ops::Value& x,
                              int64_t first_row) {
  const LayerConfig& config = block.config;
  // A set of operations may have all up to the feed-forward in one.
  if constexpr (requires { ops.add_attention(block, x, first_row); })
    if (ops.add_attention(block, x, first_row)) return run_ffn(ops, block, ops.rows_from(x, first_row));
  auto normed = config.pre_norm ? ops.norm(block.attn_norm, x) : x;
  ops.observe({Site::kAttnInput, block.layer}, normed);
  auto heads = ops.attend(block, ops.project(block, normed, first_row), first_row);
  ops.observe({Site::kAttnOutputInput, block.layer}, heads);
  const auto* post_norm = config.post_norm ? &block.attn_post_norm : nullptr;
  auto rows = ops.rows_from(x, first_row);
  if (!config.parallel) return run_ffn(ops, block, add_output(ops, block.attn_output, post_norm, heads, rows));
  auto second = config.shared_norm ? ops.rows_from(normed, first_row) : ops.norm(block.ffn_norm, rows);
  return add_feed_forward(ops, block, second, add_output(ops, block.attn_output, post_norm, heads, rows));
}

}  // namespace vernier
