#include "ops/scored_tokens.h"

#include <algorithm>
#include <optional>

namespace vernier {

void for_each_scored_token(Arena& arena, std::span<const int32_t> labels, int64_t vocabulary,
                           const TileLogits& reference, std::span<const TileLogits> models,
                           const std::function<void(const ScoredToken&)>& visit) {
  const auto rows = static_cast<int64_t>(labels.size());
  const int64_t tile = logit_tile_rows(vocabulary);
  for (int64_t first = 0; first < rows; first += tile) {
    const Arena::Scope tile_scope(arena);
    const int64_t count = std::min(tile, rows - first);
    Slab reference_logits;
    std::optional<ReferenceTile> base;
    if (reference) {
      reference_logits = reference(first, count);
      base.emplace(arena, reference_logits);
    }
    ScoredToken token;
    token.vocabulary = vocabulary;
    for (token.model = 0; token.model < models.size(); ++token.model) {
      const Arena::Scope logits_scope(arena);
      const Slab logits = models[token.model](first, count);
      for (int64_t r = 0; r < count; ++r) {
        token.row = first + r;
        token.label = labels[static_cast<size_t>(token.row)];
        token.logits = logits.row(r);
        if (base) {
          token.reference_logits = reference_logits.row(r);
          token.damage = base->compare(r, token.logits, token.label);
        } else {
          token.damage.nll = negative_log_likelihood(token.logits, vocabulary, token.label);
        }
        visit(token);
      }
    }
  }
}

}  // namespace vernier
