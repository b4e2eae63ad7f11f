#include "ops/fused_ops.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "base/fail.h"
#include "ops/activation.h"
#include "ops/kernels.h"
#include "ops/site_rounding.h"

namespace vernier {

float query_scale(const AttentionConfig& config) {
  return config.scale > 0 ? static_cast<float>(config.scale) : 1.0f / std::sqrt(static_cast<float>(config.head_dim));
}

Slab FusedOps::copy(const Slab& x) {
  const Slab y = arena_.slab(x.rows, x.cols);
  for (int64_t r = 0; r < x.rows; ++r) std::memcpy(y.row(r), x.row(r), static_cast<size_t>(x.cols) * sizeof(float));
  return y;
}

Slab FusedOps::norm(const FusedNorm& norm, const Slab& x) {
  const Slab y = arena_.slab(x.rows, x.cols);
  norm_rows(norm, x, y);
  return y;
}

void FusedOps::norm_rows(const FusedNorm& norm, const Slab& x, const Slab& y) {
  const auto epsilon = static_cast<float>(norm.config.epsilon);
  if (norm.config.kind == NormConfig::Kind::kRms)
    rms_norm(x, norm.weight.data_ptr<float>(), epsilon, y);
  else
    layer_norm(x, norm.weight.data_ptr<float>(), epsilon, y);
  if (norm.bias.defined())
    for (int64_t r = 0; r < y.rows; ++r) add_row(norm.bias.data_ptr<float>(), y.row(r), y.cols);
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

Slab FusedOps::add(const Slab& x, const Slab& residual) {
  for (int64_t r = 0; r < x.rows; ++r) add_row(x.row(r), residual.row(r), x.cols);
  return residual;
}

void FusedOps::rotate(const Slab& x, int64_t heads, const at::Tensor& head_norm, const LayerConfig& config, float scale,
                      int64_t first_position) {
  const int64_t width = config.attention.head_dim;
  if (head_norm.defined()) {
    // One weight for each head on its own, or for all of them as one row.
    const bool together = config.attention.qk_norm == AttentionConfig::QkNorm::kAllHeads;
    const int64_t parts = together ? 1 : heads, columns = together ? heads * width : width;
    for (int64_t part = 0; part < parts; ++part) {
      const Slab slab = x.columns(part * columns, columns);
      rms_norm(slab, head_norm.data_ptr<float>(), static_cast<float>(config.norm.epsilon), slab);
    }
  }
  if (!config.attention.rotary) {
    for (int64_t r = 0; r < x.rows && scale != 1; ++r) scale_row(x.row(r), heads * width, scale);
    return;
  }
  const RopeTable& table = rope_.of(config.attention);
  if (first_position + x.rows > table.positions)
    fail(ErrorKind::kInternal, "rotary table of {} positions for a sequence of {}", table.positions,
         first_position + x.rows);
  const int64_t first = first_position * table.half;
  rotate_half(x, heads, width, table.cos.data() + first, table.sin.data() + first, scale);
}

void FusedOps::attend_head(const Slab& q, const Slab& k, const Slab& v, int64_t first_row,
                           const AttentionConfig& config, const float* sink, const Slab& out, const Slab& first_token) {
  constexpr int64_t kTile = 128;  // queries per tile: scores stay in the second-level cache up to 2,048 keys
  const Arena::Scope scope(arena_);
  const int64_t window = config.window;
  float* const scores = arena_.floats(kTile * k.rows);
  for (int64_t first = 0; first < q.rows; first += kTile) {
    const int64_t count = std::min(kTile, q.rows - first);
    const int64_t position = first_row + first;                         // of the tile's first query
    const int64_t key_end = config.causal ? position + count : k.rows;  // nothing after the last query of the tile
    const int64_t key_begin = window > 0 ? std::max<int64_t>(0, position - window + 1) : 0;
    const int64_t keys = key_end - key_begin;
    const Slab tile{scores, count, keys, keys};
    multiply(q.row_range(first, count), k.row_range(key_begin, keys), /*transpose_b=*/true, tile);
    float sums[kTile];
    for (int64_t r = 0; r < count; ++r) {
      const int64_t seen = position + r + 1 - key_begin;
      const int64_t last = config.causal ? seen : keys;
      const int64_t begin = window > 0 ? std::max<int64_t>(0, seen - window) : 0;
      if (config.soft_cap > 0) cap_row(tile.row(r), keys, static_cast<float>(config.soft_cap));
      sums[r] = exp_row(tile.row(r), keys, begin, last, sink);
      if (first_token.data != nullptr) first_token.row(first + r)[0] = key_begin == 0 ? tile.row(r)[0] / sums[r] : 0.0f;
    }
    const Slab result = out.row_range(first, count);
    multiply(tile, v.row_range(key_begin, keys), /*transpose_b=*/false, result);
    for (int64_t r = 0; r < count; ++r) scale_row(result.row(r), result.cols, 1.0f / sums[r]);
  }
}

void FusedOps::attend_heads(ComputeType type, const Slab& q, const Slab& k, const Slab& v, int64_t first_row,
                            const AttentionConfig& config, const float* sinks, const PackedAttention::Results& out,
                            const Slab& first_token) {
  const int64_t width = config.head_dim;
  const Avx512Kernels* kernels = first_token.data != nullptr ? nullptr : PackedAttention::kernels_for(type, width);
  const Arena::Scope scope(arena_);
  std::optional<PackedAttention> packed;
  if (kernels != nullptr) packed.emplace(arena_, *kernels, k, v);
  for (int64_t h = 0; h < q.cols / width; ++h) {
    const float* sink = sinks == nullptr ? nullptr : sinks + h;
    const Slab queries = q.columns(h * width, width);
    if (packed)
      packed->attend(arena_, queries, first_row, config, sink, out.columns(h * width, width));
    else
      attend_head(queries, k, v, first_row, config, sink, out.rows.columns(h * width, width),
                  first_token.data == nullptr ? Slab() : first_token.columns(h, 1));
  }
}

Slab FusedOps::project(const FusedBlock& block, const Slab& x, int64_t first_row) {
  const Slab y = arena_.slab(x.rows, block.qkv.out());
  const int64_t columns = block.config.attention.query_columns();
  if (repeats_ != nullptr && first_row == 0 && !block.qkv.rounds_rows_together()) {
    project_once(x, y, [&](const Slab& rows, const Slab& out) { block.qkv.apply(rows, out, false, arena_); });
    return y;
  }
  if (sequences_ == 1 || first_row == 0 || block.qkv.rounds_rows_together()) {
    const int64_t skipped = sequences_ == 1 ? first_row : 0;
    block.qkv.apply(x, y, /*accumulate=*/false, arena_, {.rows = skipped, .columns = columns});
    return y;
  }
  // Of several sequences the rows whose queries are not needed lie between others: the few that are go on their own.
  block.qkv.apply(x, y, /*accumulate=*/false, arena_, {.rows = x.rows, .columns = columns});
  const Arena::Scope scope(arena_);
  const Slab few = rows_from(x, first_row), projected = arena_.slab(few.rows, y.cols);
  block.qkv.apply(few, projected, /*accumulate=*/false, arena_);
  const int64_t rows = x.rows / sequences_, kept = rows - first_row;
  for (int64_t r = 0; r < few.rows; ++r)
    std::copy_n(projected.row(r), columns, y.row(r / kept * rows + first_row + r % kept));
  return y;
}

void FusedOps::project_once(const Slab& x, const Slab& y,
                            const std::function<void(const Slab&, const Slab&)>& product) {
  const Arena::Scope scope(arena_);
  const auto count = static_cast<int64_t>(repeats_->firsts.size());
  const Slab firsts = arena_.slab(count, x.cols), projected = arena_.slab(count, y.cols);
  for (int64_t r = 0; r < count; ++r)
    std::copy_n(x.row(repeats_->firsts[static_cast<size_t>(r)]), x.cols, firsts.row(r));
  product(firsts, projected);
  for (int64_t r = 0; r < y.rows; ++r)
    std::copy_n(projected.row(repeats_->kind[static_cast<size_t>(r)]), y.cols, y.row(r));
}

Slab FusedOps::rows_from(const Slab& x, int64_t first_row) {
  if (sequences_ == 1 || first_row == 0) return x.rows_from(first_row);
  const int64_t rows = x.rows / sequences_, kept = rows - first_row;
  const Slab y = arena_.slab(sequences_ * kept, x.cols);
  for (int64_t r = 0; r < y.rows; ++r)
    std::memcpy(y.row(r), x.row(r / kept * rows + first_row + r % kept), static_cast<size_t>(x.cols) * sizeof(float));
  return y;
}

Slab FusedOps::attend(const FusedBlock& block, const Slab& qkv, int64_t first_row) {
  const int64_t rows = qkv.rows / sequences_, kept = rows - first_row;
  const Slab out = arena_.slab(sequences_ * kept, block.config.attention.query_columns());
  for (int64_t s = 0; s < sequences_; ++s)
    attend_sequence(block, qkv.row_range(s * rows, rows), first_row, out.row_range(s * kept, kept));
  return out;
}

void FusedOps::attend_sequence(const FusedBlock& block, const Slab& qkv, int64_t first_row,
                               const PackedAttention::Results& out) {
  const AttentionConfig& config = block.config.attention;
  const int64_t width = config.head_dim;
  const Slab q = qkv.columns(0, config.query_columns());
  const Slab k = qkv.columns(config.query_columns(), config.kv_columns());
  const Slab v = qkv.columns(config.query_columns() + config.kv_columns(), config.kv_columns());
  rotate(q.rows_from(first_row), config.heads, block.q_norm, block.config, query_scale(config), first_row);
  rotate(k, config.kv_heads, block.k_norm, block.config, 1.0f, 0);
  if (watches_) {
    observe({Site::kKeys, block.layer}, k);
    observe({Site::kValues, block.layer}, v);
  }
  round_cache(block.cache.keys, k, config.kv_heads);
  round_cache(block.cache.values, v, config.kv_heads);
  const float* sinks = block.sinks.defined() ? block.sinks.data_ptr<float>() : nullptr;
  const int64_t group = config.queries_per_kv();
  const Slab shares = watches_ ? arena_.slab(qkv.rows - first_row, config.heads) : Slab();
  for (int64_t kv = 0; kv < config.kv_heads; ++kv)
    attend_heads(block.qkv.type(), q.columns(kv * group * width, group * width).rows_from(first_row),
                 k.columns(kv * width, width), v.columns(kv * width, width), first_row, config,
                 sinks == nullptr ? nullptr : sinks + kv * group, out.columns(kv * group * width, group * width),
                 watches_ ? shares.columns(kv * group, group) : Slab());
  if (watches_) observe({Site::kFirstTokenShare, block.layer}, shares);
}

namespace {

/// Of bfloat16 products, whose rounding the next one repeats, the exponential need not be of float32.
void activate_rows(const FeedForwardConfig& config, ComputeType type, const Slab& in, const Slab& out) {
  const Avx512Kernels* kernels = avx512_kernels(type);
  const bool fits = kernels != nullptr && out.cols % Avx512Kernels::kVector == 0;
  if (fits && kernels->silu_multiply != nullptr && config.gated && config.activation == Activation::kSilu) {
    for (int64_t r = 0; r < out.rows; ++r)
      kernels->silu_multiply(in.row(r), in.row(r) + out.cols, out.cols, out.row(r));
  } else if (fits && kernels->gelu != nullptr && !config.gated && config.activation == Activation::kGelu) {
    for (int64_t r = 0; r < out.rows; ++r) kernels->gelu(in.row(r), out.cols, out.row(r));
  } else {
    apply_activation(config, in, out);
  }
}

}  // namespace

bool FusedOps::add_feed_forward(const FusedBlock& block, const FusedNorm* norm, const Slab& y) {
  const FeedForwardConfig& config = block.config.feed_forward;
  if (config.experts.count != 0 || block.config.post_norm || looked_at()) return false;
  const PanelMatrix *in = block.ffn.in.panels(), *down = block.ffn.down.panels();
  if (in == nullptr || down == nullptr || !in->has_silu() || !config.gated || config.activation != Activation::kSilu)
    return false;
  // A block of rows goes through both products while its hidden state is in cache.
  const int64_t width = in->out() / 2, bytes_per_row = 2 * (y.cols + width);
  const int64_t step = PanelMatrix::rows_at_once(y.rows, bytes_per_row);
  const Arena::Scope scope(arena_);
  const Slab normed = norm != nullptr ? arena_.slab(step, y.cols) : Slab();
  for (int64_t first = 0; first < y.rows; first += step) {
    const Arena::Scope block_scope(arena_);
    const int64_t count = std::min(step, y.rows - first);
    const Slab stream = y.row_range(first, count);
    if (norm != nullptr) norm_rows(*norm, stream, normed.row_range(0, count));
    const WordRows rows = in->pack(norm != nullptr ? normed.row_range(0, count) : stream, arena_);
    const WordRows hidden = down->rows(count, arena_);
    in->apply_silu(rows, hidden);
    down->apply(hidden, stream, /*accumulate=*/true);
  }
  return true;
}

void FusedOps::multiply_normed(const FusedNorm& norm, const PanelMatrix& weight, const Slab& x, const Slab& y) {
  const int64_t step = PanelMatrix::rows_at_once(x.rows, 2 * x.cols);
  const Arena::Scope scope(arena_);
  const Slab normed = arena_.slab(step, x.cols);
  for (int64_t first = 0; first < x.rows; first += step) {
    const Arena::Scope block_scope(arena_);
    const int64_t count = std::min(step, x.rows - first);
    const Slab rows = normed.row_range(0, count);
    norm_rows(norm, x.row_range(first, count), rows);
    weight.apply(weight.pack(rows, arena_), y.row_range(first, count), /*accumulate=*/false);
  }
}

bool FusedOps::add_attention(const FusedBlock& block, const Slab& x, int64_t first_row) {
  const LayerConfig& config = block.config;
  const PanelMatrix *in = block.qkv.panels(), *output = block.attn_output.panels();
  if (in == nullptr || output == nullptr || looked_at() || sequences_ != 1) return false;
  if (!config.pre_norm || config.post_norm || config.parallel) return false;
  const Avx512Kernels* kernels = PackedAttention::kernels_for(block.qkv.type(), config.attention.head_dim);
  if (kernels == nullptr || kernels->values_per_word != 2 || block.attn_output.type() != block.qkv.type()) return false;
  const Arena::Scope scope(arena_);
  const Slab qkv = arena_.slab(x.rows, in->out());
  if (repeats_ != nullptr)
    project_once(x, qkv, [&](const Slab& rows, const Slab& y) { multiply_normed(block.attn_norm, *in, rows, y); });
  else
    multiply_normed(block.attn_norm, *in, x, qkv);
  const Slab rows = x.rows_from(first_row);
  const WordRows heads = output->rows(rows.rows, arena_);
  attend_sequence(block, qkv, first_row, heads);
  const int64_t step = PanelMatrix::rows_at_once(rows.rows, 2 * config.attention.query_columns());
  for (int64_t first = 0; first < rows.rows; first += step) {
    const int64_t count = std::min(step, rows.rows - first);
    output->apply(heads.row_range(first, count), rows.row_range(first, count), /*accumulate=*/true);
  }
  return true;
}

Slab FusedOps::activate(const FeedForwardConfig& config, const StackedLinear& in, const Slab& x) {
  // Gate and up of a block are consumed while still in cache; ranges that rows share take all of them at once.
  const int64_t rows_at_once = in.rounds_rows_together() ? std::max<int64_t>(x.rows, 1) : 256;
  const Slab hidden = arena_.slab(x.rows, config.gated ? in.out() / 2 : in.out());
  const Arena::Scope scope(arena_);
  const bool swiglu = config.gated && config.activation == Activation::kSilu;
  if (swiglu && in.panels() != nullptr && in.panels()->apply_silu(x, hidden, arena_)) return hidden;
  const Slab buffer = config.gated ? arena_.slab(std::min(rows_at_once, x.rows), in.out()) : hidden;
  for (int64_t first = 0; first < x.rows; first += rows_at_once) {
    const int64_t count = std::min(rows_at_once, x.rows - first);
    // Without a gate it is made in place: the rows that a product pads are those of later ones.
    const Slab block = buffer.row_range(config.gated ? 0 : first, count);
    in.apply(x.row_range(first, count), block, /*accumulate=*/false, arena_);
    activate_rows(config, in.type(), block, hidden.row_range(first, count));
  }
  return hidden;
}

}  // namespace vernier
