#include "engine/fused_sweep.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "base/fail.h"
#include "engine/slices.h"
#include "ops/kernels.h"
#include "ops/parallel.h"
#include "ops/scored_tokens.h"

namespace vernier {

namespace {

/// Rows from which a product no longer waits for the weights to come from memory.
constexpr int64_t kRowsOfProduct = 128;

std::span<const int32_t> inputs_of(const TokenWindow& window) {
  return std::span(window.tokens).first(window.tokens.size() - 1);  // the last token predicts nothing that is scored
}

std::vector<float> keep(const Slab& x) {
  std::vector<float> rows(static_cast<size_t>(x.rows * x.cols));
  for (int64_t r = 0; r < x.rows; ++r)
    std::memcpy(rows.data() + r * x.cols, x.row(r), static_cast<size_t>(x.cols) * sizeof(float));
  return rows;
}

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
struct FusedSweep::Variant {
  Component component;
  bool by_difference = false;  // a head's own contribution is recomputed; otherwise `block` runs from its restart on
  bool only_ffn_down = false;  // nothing before the last product of the feed-forward changed
  FusedBlock block;            // the base's with products replaced
  StackedLinear projection, base_projection;  // head: its query rows; KV head: its key rows, then its value rows
  StackedLinear output, base_output;          // its columns of attn_output (a KV head: the base's only)
};

/// What the base computes in a layer, kept while the layer's variants run.
struct FusedSweep::LayerBase {
  Slab x;                // stream entering the layer [T, hidden]
  Slab normed;           // what attention reads
  Slab q, k, v;          // rotated
  Slab heads;            // [T - first_row, query columns]
  Slab after_attention;  // [T - first_row, hidden]
  Slab ffn_hidden;       // what ffn_down reads [T - first_row, intermediate], where a variant asks for it
};

FusedSweep::FusedSweep(const Model& model, const EvaluationData& data, ComputeType type, int threads)
    : model_(model),
      data_(data),
      threads_(threads),
      base_(model, type, data.longest()),
      arenas_(static_cast<size_t>(threads)),
      streams_(data.windows.size()),
      finals_(data.windows.size()) {
  parallel_for(static_cast<int64_t>(data.windows.size()), threads_, [&](int64_t w, int worker) {
    Arena& arena = arenas_[static_cast<size_t>(worker)];
    const Arena::Scope scope(arena);
    const TokenWindow& window = data_.windows[static_cast<size_t>(w)];
    streams_[static_cast<size_t>(w)] = keep(base_.embed(arena, inputs_of(window)));
    finals_[static_cast<size_t>(w)] = keep(base_.hidden(arena, inputs_of(window), window.first_row));
  });
}

Slab FusedSweep::stored(Arena& arena, const std::vector<float>& rows) const {
  const int64_t width = base_.config().hidden;
  const Slab x = arena.slab(static_cast<int64_t>(rows.size()) / width, width);
  std::memcpy(x.data, rows.data(), rows.size() * sizeof(float));
  return x;
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

FusedSweep::Variant FusedSweep::prepare(const Perturbation& p) const {
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

Slab FusedSweep::finish_layers(FusedOps& ops, Slab stream, int next_layer, int64_t first_row) const {
  return base_.output_norm(ops, base_.run_layers(ops, stream, next_layer, first_row));
}

Slab FusedSweep::finish(FusedOps& ops, const FusedBlock& block, const Slab& after_attention, int64_t first_row) const {
  return finish_layers(ops, run_ffn(ops, block, after_attention), block.layer + 1, first_row);
}

Slab FusedSweep::run_variant(FusedOps& ops, const Variant& variant, const LayerBase& base, int64_t first_row) const {
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

Slab FusedSweep::run_head(FusedOps& ops, const Variant& variant, const LayerBase& base, int64_t first_row) const {
  const FusedBlock& own = base_.block(variant.component.layer);
  const AttentionConfig& config = own.config.attention;
  const int64_t width = config.head_dim, index = variant.component.index, kv = index / config.queries_per_kv();
  const int64_t rows = base.heads.rows, skipped = base.x.rows - rows;
  const Slab k = base.k.columns(kv * width, width), v = base.v.columns(kv * width, width);
  const auto head = [&](const StackedLinear& projection, const StackedLinear& output) {
    const Slab q = ops.linear(projection, base.normed.rows_from(skipped));
    ops.rotate(q, 1, own.q_norm, own.config, query_scale(config), skipped);
    const Slab mixed = ops.arena().slab(rows, width);
    ops.attend_head(q, k, v, skipped, config, sink_of(own, index), mixed);
    return ops.linear(output, mixed);
  };
  const Slab changed = head(variant.projection, variant.output);
  const Slab unchanged = head(variant.base_projection, variant.base_output);
  const Slab y = ops.copy(base.after_attention);
  for (int64_t r = 0; r < rows; ++r) add_difference(changed.row(r), unchanged.row(r), y.row(r), y.cols);
  return finish(ops, own, y, first_row);
}

Slab FusedSweep::run_kv_head(FusedOps& ops, const Variant& variant, const LayerBase& base, int64_t first_row) const {
  const FusedBlock& own = base_.block(variant.component.layer);
  const AttentionConfig& config = own.config.attention;
  const int64_t width = config.head_dim, group = config.queries_per_kv(), first_head = variant.component.index * group;
  const int64_t rows = base.heads.rows, skipped = base.x.rows - rows;
  const auto heads = [&](const StackedLinear& projection) {
    const Slab kv = ops.linear(projection, base.normed);
    const Slab k = kv.columns(0, width), v = kv.columns(width, width);
    ops.rotate(k, 1, own.k_norm, own.config, 1.0f, 0);
    const Slab mixed = ops.arena().slab(rows, group * width);
    for (int64_t h = 0; h < group; ++h)
      ops.attend_head(base.q.columns((first_head + h) * width, width).rows_from(skipped), k, v, skipped, config,
                      sink_of(own, first_head + h), mixed.columns(h * width, width));
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

std::vector<DamageSums> FusedSweep::compare(Arena& arena, size_t w, const std::vector<Slab>& hidden,
                                            const StackedLinear& head) const {
  const TokenWindow& window = data_.windows[w];
  std::vector<DamageSums> sums(hidden.size());
  const Arena::Scope scope(arena);
  const Slab base = stored(arena, finals_[w]);
  const int64_t vocabulary = base_.config().vocabulary, width = base_.config().hidden;
  // A tile of a large vocabulary has so few rows that the output matrix, read anew for each variant, would hold up the
  // product: several variants' rows go through it together.
  const int64_t tile = std::min(logit_tile_rows(vocabulary), window.scored());
  // Not where that would change a row's bits: the base's go alone, and a perturbation by nothing must give the same.
  const auto most = PackedLinear::rows_are_independent() ? static_cast<int64_t>(hidden.size()) : 1;
  const int64_t batch = std::clamp<int64_t>(kRowsOfProduct / tile, 1, most);
  const Slab rows = arena.slab(batch * tile, width), products = arena.slab(batch * tile, vocabulary);
  std::vector<TileLogits> logits;
  for (size_t i = 0; i < hidden.size(); ++i)
    logits.push_back([&, i](int64_t first, int64_t count) {
      const auto place = static_cast<int64_t>(i) % batch;
      if (place == 0) {  // asked in order: the first of a batch multiplies for all of it
        const int64_t members = std::min(batch, static_cast<int64_t>(hidden.size() - i));
        for (int64_t m = 0; m < members; ++m)
          std::memcpy(rows.row(m * count), hidden[i + static_cast<size_t>(m)].row(first),
                      static_cast<size_t>(count * width) * sizeof(float));
        base_.logits_by(head, arena, rows.row_range(0, members * count), products.row_range(0, members * count));
      }
      return products.row_range(place * count, count);
    });
  for_each_scored_token(
      arena, std::span(window.tokens).subspan(static_cast<size_t>(window.first_row) + 1), vocabulary,
      [&](int64_t first, int64_t count) { return base_.logits(arena, base.row_range(first, count)); }, logits,
      [&](const ScoredToken& token) {
        DamageSums& s = sums[token.model];
        s.tokens += 1;
        s.kl += token.damage.kl;
        s.delta_nll += token.damage.nll - token.damage.reference_nll;
        s.same_top += token.damage.same_top ? 1 : 0;
      });
  return sums;
}

std::vector<std::vector<DamageSums>> FusedSweep::layer(int layer, const std::vector<Perturbation>& perturbations,
                                                       const std::function<void()>& on_window) {
  if (layer != layer_) fail(ErrorKind::kInternal, "sweep: layer {} asked for at layer {}", layer, layer_);
  std::vector<Variant> variants;
  for (const Perturbation& p : perturbations) variants.push_back(prepare(p));
  std::vector<std::vector<DamageSums>> damage(variants.size(), std::vector<DamageSums>(data_.windows.size()));

  parallel_for(static_cast<int64_t>(data_.windows.size()), threads_, [&](int64_t item, int worker) {
    const auto w = static_cast<size_t>(item);
    Arena& arena = arenas_[static_cast<size_t>(worker)];
    const Arena::Scope scope(arena);
    FusedOps ops(arena, base_.rope());
    const FusedBlock& block = base_.block(layer);
    const AttentionConfig& config = block.config.attention;
    const int64_t first_row = data_.windows[w].first_row;
    const bool last = layer + 1 == base_.config().depth();

    LayerBase base;
    base.x = stored(arena, streams_[w]);
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
    for (size_t i = 0; i < variants.size(); ++i)
      hidden.push_back(arena.slab(data_.windows[w].scored(), base_.config().hidden));
    for (size_t i = 0; i < variants.size(); ++i) {
      const Arena::Scope variant_scope(arena);
      const Slab result = run_variant(ops, variants[i], base, first_row);
      std::memcpy(hidden[i].data, result.data, static_cast<size_t>(result.rows * result.cols) * sizeof(float));
    }
    if (!variants.empty()) {
      const std::vector<DamageSums> sums = compare(arena, w, hidden, base_.head());
      for (size_t i = 0; i < sums.size(); ++i) damage[i][w] = sums[i];
    }
    if (!last) {
      Slab next;
      if (block.config.parallel)
        next = run_block(ops, block, base.x, 0);
      else if (share_ffn)
        next = add_ffn_down(ops, block, base.ffn_hidden, base.after_attention);
      else
        next = run_ffn(ops, block, base.after_attention);
      streams_[w] = keep(next);
    }
    if (on_window) on_window();
  });
  ++layer_;
  return damage;
}

template <class Fn>
std::vector<DamageSums> FusedSweep::for_windows(const StackedLinear& head, Fn&& hidden_of) {
  std::vector<DamageSums> damage(data_.windows.size());
  parallel_for(static_cast<int64_t>(damage.size()), threads_, [&](int64_t w, int worker) {
    Arena& arena = arenas_[static_cast<size_t>(worker)];
    const Arena::Scope scope(arena);
    const Slab hidden = hidden_of(arena, static_cast<size_t>(w));
    damage[static_cast<size_t>(w)] = compare(arena, static_cast<size_t>(w), {hidden}, head)[0];
  });
  return damage;
}

std::vector<DamageSums> FusedSweep::embedding(const Perturbation& p) {
  const TensorId id = p.component.kind == ComponentKind::kEmbed ? TensorId{TensorRole::kTokenEmbedding, -1}
                                                                : TensorId{TensorRole::kOutput, -1};
  const at::Tensor weight = p.weight(id).to(at::kFloat).contiguous();
  const bool is_head = id == model_.output_matrix();
  const StackedLinear head = is_head ? StackedLinear(PackedLinear(weight, {}, base_.type())) : base_.head();
  return for_windows(head, [&](Arena& arena, size_t w) {
    if (p.component.kind == ComponentKind::kLmHead) return stored(arena, finals_[w]);
    FusedOps ops(arena, base_.rope());
    const TokenWindow& window = data_.windows[w];
    return finish_layers(ops, base_.embed_from(weight, arena, inputs_of(window)), 0, window.first_row);
  });
}

std::vector<DamageSums> FusedSweep::whole_model(const Model& other) {
  const FusedModel fast(other, base_.type(), data_.longest());
  return for_windows(fast.head(), [&](Arena& arena, size_t w) {
    return fast.hidden(arena, inputs_of(data_.windows[w]), data_.windows[w].first_row);
  });
}

at::Tensor FusedSweep::base_logits(size_t window) {
  Arena& arena = arenas_.front();
  const Arena::Scope scope(arena);
  const Slab logits = base_.logits(arena, stored(arena, finals_[window]));
  return at::from_blob(logits.data, {logits.rows, logits.cols}, at::kFloat).clone();
}

}  // namespace vernier
