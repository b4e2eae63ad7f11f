#pragma once

// What a full forward costs without loading and packing: `evaluate` without a reference, on a model made ready before.

#include <cmath>
#include <span>
#include <vector>

#include "engine/engine.h"
#include "ops/parallel.h"
#include "ops/scored_tokens.h"
#include "vernier/data.h"

namespace vernier {

/// Runs every window and scores it. @return nats per scored token
inline double forward_pass(const Engine& engine, PreparedModel& model, const EvaluationData& data) {
  std::vector<Sequence> sequences;
  for (const TokenWindow& window : data.windows) {
    const std::span<const int32_t> tokens(window.tokens);
    sequences.push_back({tokens.first(tokens.size() - 1), window.first_row});
  }
  model.run(sequences, {});
  std::vector<Arena> arenas(static_cast<size_t>(engine.workers()));
  std::vector<double> nll(data.windows.size());
  parallel_for(static_cast<int64_t>(nll.size()), engine.workers(), [&](int64_t w, int worker) {
    Arena& arena = arenas[static_cast<size_t>(worker)];
    const Arena::Scope scope(arena);
    const TokenWindow& window = data.windows[static_cast<size_t>(w)];
    const std::span<const int32_t> tokens(window.tokens);
    const TileLogits logits = model.logits(arena, static_cast<size_t>(w));
    for_each_scored_token(arena, tokens.subspan(static_cast<size_t>(window.first_row) + 1), model.config().vocabulary,
                          {}, {&logits, 1},
                          [&](const ScoredToken& token) { nll[static_cast<size_t>(w)] += token.damage.nll; });
  });
  double sum = 0;
  for (const double window : nll) sum += window;
  return sum / static_cast<double>(data.scored_tokens());
}

}  // namespace vernier
