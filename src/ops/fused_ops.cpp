#include "ops/fused_ops.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/fail.h"
#include "ops/kernels.h"

namespace vernier {

Slab FusedOps::copy(const Slab& x) {
  const Slab y = arena_.slab(x.rows, x.cols);
  for (int64_t r = 0; r < x.rows; ++r) std::memcpy(y.row(r), x.row(r), static_cast<size_t>(x.cols) * sizeof(float));
  return y;
}

Slab FusedOps::norm(const FusedNorm& norm, const Slab& x) {
  const Slab y = arena_.slab(x.rows, x.cols);
  rms_norm(x, norm.weight.data_ptr<float>(), norm.epsilon, y);
  return y;
}

Slab FusedOps::linear(const StackedLinear& weight, const Slab& x) {
  const Slab y = arena_.slab(x.rows, weight.out());
  weight.apply(x, y, /*accumulate=*/false, arena_);
  return y;
}

Slab FusedOps::linear_add(const StackedLinear& weight, const Slab& x, const Slab& residual) {
  weight.apply(x, residual, /*accumulate=*/true, arena_);
  return residual;
}

float FusedOps::query_scale(const AttentionShape& shape) const {
  return 1.0f / std::sqrt(static_cast<float>(shape.head_dim));
}

void FusedOps::rotate(const Slab& x, int64_t heads, const at::Tensor& head_norm, const AttentionShape& shape,
                      float scale) {
  if (x.rows > rope_.positions)
    fail(ErrorKind::kInternal, "rotary table of {} positions for a sequence of {}", rope_.positions, x.rows);
  if (head_norm.defined()) {
    const float* weight = head_norm.data_ptr<float>();
    for (int64_t h = 0; h < heads; ++h) {
      const Slab head = x.columns(h * shape.head_dim, shape.head_dim);
      rms_norm(head, weight, shape.norm_epsilon, head);
    }
  }
  rotate_half(x, heads, shape.head_dim, rope_.cos.data(), rope_.sin.data(), scale);
}

void FusedOps::attend_head(const Slab& q, const Slab& k, const Slab& v, int64_t first_row, int64_t window,
                           const Slab& out) {
  constexpr int64_t kTile = 128;  // queries per tile: scores stay in the second-level cache up to 2,048 keys
  const Arena::Scope scope(arena_);
  float* const scores = arena_.floats(kTile * k.rows);
  for (int64_t first = 0; first < q.rows; first += kTile) {
    const int64_t count = std::min(kTile, q.rows - first);
    const int64_t position = first_row + first;  // of the tile's first query
    const int64_t key_end = position + count;    // causal: nothing after the last query of the tile
    const int64_t key_begin = window > 0 ? std::max<int64_t>(0, position - window + 1) : 0;
    const int64_t keys = key_end - key_begin;
    const Slab tile{scores, count, keys, keys};
    multiply(q.row_range(first, count), k.row_range(key_begin, keys), /*transpose_b=*/true, tile);
    float sums[kTile];
    for (int64_t r = 0; r < count; ++r) {
      const int64_t last = position + r + 1 - key_begin;
      const int64_t begin = window > 0 ? std::max<int64_t>(0, last - window) : 0;
      sums[r] = exp_row(tile.row(r), keys, begin, last);
    }
    const Slab result = out.row_range(first, count);
    multiply(tile, v.row_range(key_begin, keys), /*transpose_b=*/false, result);
    for (int64_t r = 0; r < count; ++r) scale_row(result.row(r), result.cols, 1.0f / sums[r]);
  }
}

Slab FusedOps::attend(const FusedBlock& block, const Slab& qkv, int64_t first_row) {
  const AttentionShape& shape = block.attention;
  const int64_t width = shape.head_dim;
  const Slab q = qkv.columns(0, shape.query_columns());
  const Slab k = qkv.columns(shape.query_columns(), shape.kv_columns());
  const Slab v = qkv.columns(shape.query_columns() + shape.kv_columns(), shape.kv_columns());
  rotate(q, shape.heads, shape.q_norm, shape, query_scale(shape));
  rotate(k, shape.kv_heads, shape.k_norm, shape, 1.0f);
  const Slab out = arena_.slab(qkv.rows - first_row, shape.query_columns());
  for (int64_t h = 0; h < shape.heads; ++h) {
    const int64_t kv = h / shape.queries_per_kv();
    attend_head(q.columns(h * width, width).rows_from(first_row), k.columns(kv * width, width),
                v.columns(kv * width, width), first_row, shape.window, out.columns(h * width, width));
  }
  return out;
}

Slab FusedOps::gated(const StackedLinear& gate_up, const Slab& x) {
  constexpr int64_t kBlock = 256;  // gate and up of a block are consumed while still in cache
  const Slab hidden = arena_.slab(x.rows, gate_up.out() / 2);
  const Arena::Scope scope(arena_);
  const Slab buffer = arena_.slab(std::min(kBlock, x.rows), gate_up.out());
  for (int64_t first = 0; first < x.rows; first += kBlock) {
    const int64_t count = std::min(kBlock, x.rows - first);
    const Slab block = buffer.row_range(0, count);
    gate_up.apply(x.row_range(first, count), block, /*accumulate=*/false, arena_);
    silu_multiply(block, hidden.row_range(first, count));
  }
  return hidden;
}

}  // namespace vernier
