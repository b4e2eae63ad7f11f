#include "engine/fused_sweep.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>

#include "ops/scored_tokens.h"

namespace vernier {

namespace {

/// Rows from which a product no longer waits for the weights to come from memory.
constexpr int64_t kRowsOfProduct = 128;

std::span<const int32_t> inputs_of(const TokenWindow& window) {
  return std::span(window.tokens).first(window.tokens.size() - 1);  // the last token predicts nothing that is scored
}

std::vector<int64_t> first_rows_of(const EvaluationData& data) {
  std::vector<int64_t> rows;
  for (const TokenWindow& window : data.windows) rows.push_back(window.first_row);
  return rows;
}

}  // namespace

FusedSweep::FusedSweep(const Model& model, const EvaluationData& data, ComputeType type, int threads)
    : model_(model),
      data_(data),
      suffix_(model, type, data.longest(), threads, first_rows_of(data)),
      finals_(data.windows.size()) {
  const FusedModel& base = suffix_.base();
  suffix_.enter([&](FusedOps& ops, size_t w) {
    const TokenWindow& window = data_.windows[w];
    finals_[w] = keep_rows(base.hidden(ops.arena(), inputs_of(window), window.first_row));
    return base.embed(ops.arena(), inputs_of(window));
  });
}

std::vector<DamageSums> FusedSweep::compare(Arena& arena, size_t w, const std::vector<Slab>& hidden,
                                            const StackedLinear& head) const {
  const TokenWindow& window = data_.windows[w];
  std::vector<DamageSums> sums(hidden.size());
  const Arena::Scope scope(arena);
  const Slab base = suffix_.slab_of(arena, finals_[w]);
  const int64_t vocabulary = suffix_.base().config().vocabulary, width = suffix_.base().config().hidden;
  // A tile of a large vocabulary has so few rows that the output matrix, read anew for each variant, would hold up the
  // product: several variants' rows go through it together.
  const int64_t tile = std::min(logit_tile_rows(vocabulary), window.scored());
  // Not where that would change a row's bits: the base's go alone, and a perturbation by nothing must give the same.
  const bool independent = suffix_.base().head().rows_are_independent() && head.rows_are_independent();
  const auto most = independent ? static_cast<int64_t>(hidden.size()) : 1;
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
        suffix_.base().logits_by(head, arena, rows.row_range(0, members * count),
                                 products.row_range(0, members * count));
      }
      return products.row_range(place * count, count);
    });
  for_each_scored_token(
      arena, std::span(window.tokens).subspan(static_cast<size_t>(window.first_row) + 1), vocabulary,
      [&](int64_t first, int64_t count) { return suffix_.base().logits(arena, base.row_range(first, count)); }, logits,
      [&](const ScoredToken& token) {
        DamageSums& s = sums[token.model];
        s.tokens += 1;
        s.kl += token.damage.kl;
        s.delta_nll += token.damage.nll - token.damage.reference_nll;
        s.same_top += token.damage.same_top ? 1 : 0;
      });
  return sums;
}

std::vector<std::vector<DamageSums>> FusedSweep::layer(Stack, int layer, const std::vector<Perturbation>& perturbations,
                                                       const std::function<void()>& on_window) {
  std::vector<std::vector<DamageSums>> damage(perturbations.size(), std::vector<DamageSums>(data_.windows.size()));
  const auto visit = [&](Arena& arena, size_t w, const std::vector<Slab>& hidden) {
    const std::vector<DamageSums> sums = compare(arena, w, hidden, suffix_.base().head());
    for (size_t i = 0; i < sums.size(); ++i) damage[i][w] = sums[i];
  };
  suffix_.layer(layer, perturbations, visit, on_window);
  return damage;
}

template <class Fn>
std::vector<DamageSums> FusedSweep::for_windows(const StackedLinear& head, Fn&& hidden_of) {
  std::vector<DamageSums> damage(data_.windows.size());
  suffix_.for_inputs([&](Arena& arena, size_t w) { damage[w] = compare(arena, w, {hidden_of(arena, w)}, head)[0]; });
  return damage;
}

std::vector<DamageSums> FusedSweep::outside(const Perturbation& p) {
  const FusedModel& base = suffix_.base();
  const TensorId id = p.component.kind == ComponentKind::kEmbed ? TensorId{TensorRole::kTokenEmbedding, -1}
                                                                : TensorId{TensorRole::kOutput, -1};
  const at::Tensor weight = p.weight(id).to(at::kFloat).contiguous();
  const bool is_head = id == model_.output_matrix();
  const StackedLinear head = is_head ? StackedLinear(PackedLinear(weight, {}, base.type())) : base.head();
  return for_windows(head, [&](Arena& arena, size_t w) {
    if (p.component.kind == ComponentKind::kLmHead) return suffix_.slab_of(arena, finals_[w]);
    FusedOps ops(arena, base.rope());
    const TokenWindow& window = data_.windows[w];
    return suffix_.finish_layers(ops, base.embed_from(weight, arena, inputs_of(window)), 0, window.first_row);
  });
}

std::vector<DamageSums> FusedSweep::whole_model(const Model& other) {
  const FusedModel fast(other, suffix_.base().type(), data_.longest());
  return for_windows(fast.head(), [&](Arena& arena, size_t w) {
    return fast.hidden(arena, inputs_of(data_.windows[w]), data_.windows[w].first_row);
  });
}

at::Tensor FusedSweep::base_logits(size_t window) {
  Arena& arena = suffix_.arena();
  const Arena::Scope scope(arena);
  const Slab logits = suffix_.base().logits(arena, suffix_.slab_of(arena, finals_[window]));
  return at::from_blob(logits.data, {logits.rows, logits.cols}, at::kFloat).clone();
}

}  // namespace vernier
