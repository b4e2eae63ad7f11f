#include "engine/suffix_sweep.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "base/fail.h"
#include "engine/slices.h"
#include "ops/kernels.h"

namespace vernier {

namespace {

at::Tensor rows_of(const at::Tensor& t, int64_t first, int64_t count) {
  return t.defined() ? t.narrow(0, first, count) : at::Tensor();
}

const float* sink_of(const FusedBlock& block, int64_t head) {
  return block.sinks.defined() ? block.sinks.data_ptr<float>() + head : nullptr;
}

at::Tensor stacked(const at::Tensor& a, const at::Tensor& b) {
  return a.defined() ? at::cat({a.to(at::kFloat), b.to(at::kFloat)}, 0) : at::Tensor();
}

}  // namespace

/// Packed weights of one perturbation. Heads and KV heads carry their unperturbed twin in the same shapes, so that the
/// difference of the two is exactly zero when nothing changed.
struct SuffixSweep::Variant {
  Component component;
  bool by_difference = false;  // a head's own contribution is recomputed; otherwise `block` runs from its restart on
  bool only_ffn_down = false;  // nothing before the last product of the feed-forward changed
  FusedBlock block;            // the base's with products replaced
  StackedLinear projection, base_projection;  // head: its query rows; KV head: its key rows, then its value rows
  StackedLinear output, base_output;          // its columns of attn_output (a KV head: the base's only)
};

/// What the base computes in a layer, kept while the layer's variants run.
struct SuffixSweep::LayerBase {
  Slab x;                // stream entering the layer [T, hidden]
  Slab normed;           // what attention reads
  Slab q, k, v;          // rotated
  Slab heads;            // [T - first_row, query columns]
  Slab after_attention;  // [T - first_row, hidden]
  Slab ffn_hidden;       // what ffn_down reads [T - first_row, intermediate], where a variant asks for it
};

SuffixSweep::SuffixSweep(const Model& model, ComputeType type, int64_t positions, int threads,
                         std::vector<int64_t> first_rows)
    : model_(model),
      base_(model, type, positions),
      arenas_(static_cast<size_t>(threads)),
      first_rows_(std::move(first_rows)),
      streams_(first_rows_.size()) {}

void SuffixSweep::enter(const std::function<Slab(FusedOps&, size_t input)>& embed) {
  for_inputs([&](Arena& arena, size_t input) {
    FusedOps ops(arena, base_.rope());
    streams_[input] = keep_rows(embed(ops, input));
  });
}

Slab SuffixSweep::stream(Arena& arena, size_t input) const { return slab_of(arena, streams_[input]); }

Slab SuffixSweep::slab_of(Arena& arena, const std::vector<float>& rows) const {
  const int64_t width = base_.config().hidden;
  const Slab x = arena.slab(static_cast<int64_t>(rows.size()) / width, width);
  std::memcpy(x.data, rows.data(), rows.size() * sizeof(float));
  return x;
}

std::vector<float> keep_rows(const Slab& x) {
  std::vector<float> rows(static_cast<size_t>(x.rows * x.cols));
  for (int64_t r = 0; r < x.rows; ++r)
    std::memcpy(rows.data() + r * x.cols, x.row(r), static_cast<size_t>(x.cols) * sizeof(float));
  return rows;
}

namespace {

/// Whether a head's contribution can be recomputed on its own and added to the stream as a difference: nothing may mix
/// heads before they are added up, or bend their sum afterwards.
bool heads_are_apart(const LayerConfig& config) {
  return !config.parallel && !config.post_norm && config.attention.qk_norm != AttentionConfig::QkNorm::kAllHeads;
}

/// What a feed-forward's last product adds to the stream `y`, its hidden state being the base's.
Slab add_ffn_down(FusedOps& ops, const FusedBlock& block, const Slab& ffn_hidden, const Slab& y) {
  return add_output(ops, block.ffn.down, block.config.post_norm ? &block.ffn_post_norm : nullptr, ffn_hidden, y);
}

}  // namespace

SuffixSweep::Variant SuffixSweep::prepare(const Perturbation& p) const {
  using Role = TensorRole;
  const int layer = p.component.layer;
  const LayerConfig& config = base_.config().layer(layer);
  const auto base = [&](Role role) { return model_.weight({role, layer}); };
  const auto changed = [&](Role role) { return p.weight({role, layer}); };
  const auto pack = [&](const at::Tensor& weight, const at::Tensor& bias = {}) {
    return StackedLinear(PackedLinear(weight, bias, base_.type()));
  };
  const int64_t width = config.attention.head_dim, index = p.component.index;
  const int64_t group = config.attention.queries_per_kv();
  Variant variant;
  variant.component = p.component;
  const bool apart = heads_are_apart(config);
  if (apart && p.component.kind == ComponentKind::kHead) {
    const auto query = [&](const at::Tensor& w) {
      return pack(rows_of(w, index * width, width), rows_of(base(Role::kAttnQBias), index * width, width));
    };
    const auto output = [&](const at::Tensor& w) { return pack(w.narrow(1, index * width, width)); };
    variant.by_difference = true;
    variant.projection = query(changed(Role::kAttnQ));
    variant.base_projection = query(base(Role::kAttnQ));
    variant.output = output(changed(Role::kAttnOutput));
    variant.base_output = output(base(Role::kAttnOutput));
  } else if (apart && p.component.kind == ComponentKind::kKvHead) {
    const auto rows = [&](const at::Tensor& k, const at::Tensor& v) {
      return stacked(rows_of(k, index * width, width), rows_of(v, index * width, width));
    };
    const at::Tensor bias = rows(base(Role::kAttnKBias), base(Role::kAttnVBias));
    variant.by_difference = true;
    variant.projection = pack(rows(changed(Role::kAttnK), changed(Role::kAttnV)), bias);
    variant.base_projection = pack(rows(base(Role::kAttnK), base(Role::kAttnV)), bias);
    variant.base_output = pack(base(Role::kAttnOutput).narrow(1, index * group * width, group * width));
  } else {
    const std::vector<WeightSlice> slices = slices_of(base_.config(), p.component);
    std::set<TensorId> ids;
    for (const WeightSlice& slice : slices) ids.insert(slice.tensor);
    variant.block = repack(base_.block(layer), model_, base_.type(), ids,
                           [&](const TensorId& id) { return with_slices(model_, slices, id, p.weight); });
    variant.only_ffn_down = !config.parallel && ids == std::set<TensorId>{{Role::kFfnDown, layer}};
  }
  return variant;
}

Slab SuffixSweep::finish_layers(FusedOps& ops, Slab stream, int next_layer, int64_t first_row) const {
  return base_.output_norm(ops, base_.run_layers(ops, stream, next_layer, first_row));
}

Slab SuffixSweep::finish(FusedOps& ops, const FusedBlock& block, const Slab& after_attention, int64_t first_row) const {
  return finish_layers(ops, run_ffn(ops, block, after_attention), block.layer + 1, first_row);
}

Slab SuffixSweep::run_variant(FusedOps& ops, const Variant& variant, const LayerBase& base, int64_t first_row) const {
  if (variant.by_difference)
    return variant.component.kind == ComponentKind::kHead ? run_head(ops, variant, base, first_row)
                                                          : run_kv_head(ops, variant, base, first_row);
  const FusedBlock& block = variant.block;
  if (variant.only_ffn_down)
    return finish_layers(ops, add_ffn_down(ops, block, base.ffn_hidden, ops.copy(base.after_attention)),
                         block.layer + 1, first_row);
  const int64_t skipped = base.x.rows - base.heads.rows;
  const Restart restart = block.config.parallel ? Restart::kAttention : restart_of(variant.component);
  switch (restart) {
    case Restart::kFeedForward: return finish(ops, block, ops.copy(base.after_attention), first_row);
    case Restart::kAttentionOutput: {
      const Slab y = ops.copy(base.x.rows_from(skipped));
      const FusedNorm* post_norm = block.config.post_norm ? &block.attn_post_norm : nullptr;
      return finish(ops, block, add_output(ops, block.attn_output, post_norm, base.heads, y), first_row);
    }
    default: return finish_layers(ops, run_block(ops, block, ops.copy(base.x), skipped), block.layer + 1, first_row);
  }
}

Slab SuffixSweep::run_head(FusedOps& ops, const Variant& variant, const LayerBase& base, int64_t first_row) const {
  const FusedBlock& own = base_.block(variant.component.layer);
  const AttentionConfig& config = own.config.attention;
  const int64_t width = config.head_dim, index = variant.component.index, kv = index / config.queries_per_kv();
  const int64_t rows = base.heads.rows, skipped = base.x.rows - rows;
  const Slab k = base.k.columns(kv * width, width), v = base.v.columns(kv * width, width);
  const auto head = [&](const StackedLinear& projection, const StackedLinear& output) {
    const Slab q = ops.linear(projection, base.normed.rows_from(skipped));
    ops.rotate(q, 1, own.q_norm, own.config, query_scale(config), skipped);
    const Slab mixed = ops.arena().slab(rows, width);
    ops.attend_heads(base_.type(), q, k, v, skipped, config, sink_of(own, index), mixed);
    return ops.linear(output, mixed);
  };
  const Slab changed = head(variant.projection, variant.output);
  const Slab unchanged = head(variant.base_projection, variant.base_output);
  const Slab y = ops.copy(base.after_attention);
  for (int64_t r = 0; r < rows; ++r) add_difference(changed.row(r), unchanged.row(r), y.row(r), y.cols);
  return finish(ops, own, y, first_row);
}

Slab SuffixSweep::run_kv_head(FusedOps& ops, const Variant& variant, const LayerBase& base, int64_t first_row) const {
  const FusedBlock& own = base_.block(variant.component.layer);
  const AttentionConfig& config = own.config.attention;
  const int64_t width = config.head_dim, group = config.queries_per_kv(), first_head = variant.component.index * group;
  const int64_t rows = base.heads.rows, skipped = base.x.rows - rows;
  const auto heads = [&](const StackedLinear& projection) {
    const Slab kv = ops.linear(projection, base.normed);
    const Slab k = kv.columns(0, width), v = kv.columns(width, width);
    ops.rotate(k, 1, own.k_norm, own.config, 1.0f, 0);
    const Slab mixed = ops.arena().slab(rows, group * width);
    ops.attend_heads(base_.type(), base.q.columns(first_head * width, group * width).rows_from(skipped), k, v, skipped,
                     config, sink_of(own, first_head), mixed);
    return mixed;
  };
  const Slab changed = heads(variant.projection), unchanged = heads(variant.base_projection);
  const Slab difference = ops.arena().slab(rows, group * width);
  for (int64_t r = 0; r < rows; ++r) {
    std::fill_n(difference.row(r), difference.cols, 0.0f);
    add_difference(changed.row(r), unchanged.row(r), difference.row(r), difference.cols);
  }
  const Slab y = ops.copy(base.after_attention);
  ops.linear_add(variant.base_output, difference, y);
  return finish(ops, own, y, first_row);
}

void SuffixSweep::layer(int layer, const std::vector<Perturbation>& perturbations, const Visit& visit,
                        const std::function<void()>& on_input) {
  if (layer != layer_) fail(ErrorKind::kInternal, "sweep: layer {} asked for at layer {}", layer, layer_);
  std::vector<Variant> variants;
  for (const Perturbation& p : perturbations) variants.push_back(prepare(p));

  for_inputs([&](Arena& arena, size_t input) {
    FusedOps ops(arena, base_.rope());
    const FusedBlock& block = base_.block(layer);
    const AttentionConfig& config = block.config.attention;
    const int64_t first_row = first_rows_[input];
    const bool last = layer + 1 == base_.config().depth();

    LayerBase base;
    base.x = stream(arena, input);
    const int64_t answering = base.x.rows - first_row;
    base.normed = block.config.pre_norm ? ops.norm(block.attn_norm, base.x) : base.x;
    const int64_t skipped = last ? first_row : 0;
    const Slab qkv = ops.project(block, base.normed, skipped);
    base.heads = ops.attend(block, qkv, skipped);  // rotates qkv in place
    base.q = qkv.columns(0, config.query_columns());
    base.k = qkv.columns(config.query_columns(), config.kv_columns());
    base.v = qkv.columns(config.query_columns() + config.kv_columns(), config.kv_columns());
    base.after_attention = add_output(ops, block.attn_output, block.config.post_norm ? &block.attn_post_norm : nullptr,
                                      base.heads, ops.copy(base.x.rows_from(skipped)));

    const bool share_ffn =
        std::any_of(variants.begin(), variants.end(), [](const Variant& v) { return v.only_ffn_down; });
    if (share_ffn) {
      const Slab& y = base.after_attention;
      base.ffn_hidden = ops.activate(block.config.feed_forward, block.ffn.in,
                                     block.config.pre_norm ? ops.norm(block.ffn_norm, y) : y);
    }

    std::vector<Slab> hidden;
    for (size_t i = 0; i < variants.size(); ++i) hidden.push_back(arena.slab(answering, base_.config().hidden));
    for (size_t i = 0; i < variants.size(); ++i) {
      const Arena::Scope variant_scope(arena);
      const Slab result = run_variant(ops, variants[i], base, first_row);
      std::memcpy(hidden[i].data, result.data, static_cast<size_t>(result.rows * result.cols) * sizeof(float));
    }
    if (!variants.empty()) visit(arena, input, hidden);
    if (!last) {
      Slab next;
      if (block.config.parallel)
        next = run_block(ops, block, base.x, 0);
      else if (share_ffn)
        next = add_ffn_down(ops, block, base.ffn_hidden, base.after_attention);
      else
        next = run_ffn(ops, block, base.after_attention);
      streams_[input] = keep_rows(next);
    }
    if (on_input) on_input();
  });
  ++layer_;
}

}  // namespace vernier
