#pragma once

// The forward pass of a block, written once over a set of operations. Two sets exist: AtenOps (differentiable, any
// device) and FusedOps (no gradients, CPU, packed weights, one sequence per thread). Both must agree within rounding.
//
// An Ops has a Value (activations of some rows), a Block (a layer's weights in its own layout) and the members used
// below.

#include <cstdint>

#include "vernier/component.h"

namespace vernier {

/// The feed-forward half: also what a perturbed attention output still has to pass in its own layer.
template <class Ops>
typename Ops::Value run_ffn(Ops& ops, const typename Ops::Block& block, const typename Ops::Value& y) {
  auto normed = ops.norm(block.ffn_norm, y);
  ops.observe(Site::kFfnInput, block.layer, normed);
  auto hidden = ops.gated(block.gate_up, normed);
  ops.observe(Site::kFfnDownInput, block.layer, hidden);
  return ops.linear_add(block.ffn_down, hidden, y);
}

/// x: residual stream entering the block. Rows before `first_row` are needed only as keys and values, so the result
/// holds rows first_row ... : in the last block nothing else is ever read.
template <class Ops>
typename Ops::Value run_block(Ops& ops, const typename Ops::Block& block, const typename Ops::Value& x,
                              int64_t first_row) {
  auto normed = ops.norm(block.attn_norm, x);
  ops.observe(Site::kAttnInput, block.layer, normed);
  auto heads = ops.attend(block, ops.linear(block.qkv, normed), first_row);
  ops.observe(Site::kAttnOutputInput, block.layer, heads);
  return run_ffn(ops, block, ops.linear_add(block.attn_output, heads, ops.rows_from(x, first_row)));
}

}  // namespace vernier
