#include "ops/scored_tokens.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "support/slab_view.h"

namespace vernier {
namespace {

/// Three tiles, the last of one row: every row of every model once, in order, with its own logits and label.
TEST(ScoredTokens, TilesAreNotToBeSeen) {
  const int64_t vocabulary = 40, tile = logit_tile_rows(vocabulary), rows = 2 * tile + 1;
  at::manual_seed(4);
  Arena arena;
  const Slab base = arena.slab(rows, vocabulary), one = arena.slab(rows, vocabulary),
             two = arena.slab(rows, vocabulary);
  for (const Slab& s : {base, one, two}) view(s).normal_();
  std::vector<int32_t> labels;
  for (int64_t r = 0; r < rows; ++r) labels.push_back(static_cast<int32_t>(r * 7 % vocabulary));
  const auto tiles_of = [](const Slab& all) -> TileLogits {
    return [all](int64_t first, int64_t count) { return all.row_range(first, count); };
  };
  const Slab others[] = {one, two};
  const TileLogits models[] = {tiles_of(one), tiles_of(two)};
  const ReferenceTile whole(arena, base);
  std::vector<int64_t> next(2, 0);
  const auto expect_next = [&](const ScoredToken& token) {
    EXPECT_EQ(token.row, next[token.model]++);
    EXPECT_EQ(token.label, labels[static_cast<size_t>(token.row)]);
    EXPECT_EQ(token.vocabulary, vocabulary);
    EXPECT_EQ(token.logits, others[token.model].row(token.row));
  };
  for_each_scored_token(arena, labels, vocabulary, tiles_of(base), models, [&](const ScoredToken& token) {
    expect_next(token);
    EXPECT_EQ(token.reference_logits, base.row(token.row));
    const TokenDamage expected = whole.compare(token.row, token.logits, token.label);
    EXPECT_EQ(token.damage.kl, expected.kl);
    EXPECT_EQ(token.damage.nll, expected.nll);
    EXPECT_EQ(token.damage.same_top, expected.same_top);
  });
  EXPECT_EQ(next, std::vector<int64_t>(2, rows));
  next.assign(2, 0);
  for_each_scored_token(arena, labels, vocabulary, {}, models, [&](const ScoredToken& token) {
    expect_next(token);
    EXPECT_EQ(token.reference_logits, nullptr);
    EXPECT_EQ(token.damage.nll, negative_log_likelihood(token.logits, vocabulary, token.label));
  });
  EXPECT_EQ(next, std::vector<int64_t>(2, rows));
}

}  // namespace
}  // namespace vernier
