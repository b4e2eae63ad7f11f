#pragma once

// Causal attention on the CPU: keys and values of one KV head laid out once for all query heads that read them, then
// tiles of queries against them. What no query of a few rows may see is neither multiplied nor read.

#include <cstdint>

#include "ops/arena.h"
#include "ops/avx512_kernels.h"
#include "ops/panel_matrix.h"
#include "vernier/layer_config.h"

namespace vernier {

class PackedAttention {
 public:
  /// The kernels for heads of that width: nullptr where the machine or the width has none. Those of float32 stand in for
  /// bfloat16 on machines without its products.
  static const Avx512Kernels* kernels_for(ComputeType type, int64_t head_dim);

  /// k, v [T, head_dim]; copies of both lie in `arena`.
  PackedAttention(Arena& arena, const Avx512Kernels& kernels, const Slab& k, const Slab& v);

  /// Where rows of results go: as they are, or as words of bfloat16 where the kernels are of that type.
  struct Results {
    Slab rows;
    WordRows words;

    Results(const Slab& slab) : rows(slab) {}           // NOLINT: either is a place for results
    Results(const WordRows& packed) : words(packed) {}  // NOLINT
    bool as_words() const { return words.data != nullptr; }
    Results row_range(int64_t first, int64_t count) const {
      if (as_words()) return words.row_range(first, count);
      return rows.row_range(first, count);
    }
    Results columns(int64_t first, int64_t count) const {
      if (as_words()) return words.columns(first / 2, count / 2);
      return rows.columns(first, count);
    }
  };
  /// Attention of one query head: q, out [T - first_row, head_dim]. `sink`: its score, or nullptr.
  void attend(Arena& arena, const Slab& q, int64_t first_row, const AttentionConfig& config, const float* sink,
              const Results& out) const;

 private:
  struct Tile;
  int64_t words(int64_t values) const;
  /// Queries times `scale` into `tile.q`. @return the Euclidean length of the longest
  float pack_queries(const Tile& tile, const Slab& q, float scale) const;
  /// Scores that cannot be large need no maximum taken off, so that they are never all written down.
  /// @return whether `out` is filled
  bool attend_at_once(Tile& tile, const Slab& queries, const AttentionConfig& config, const float* sink,
                      const Results& out) const;
  /// The words of a tile's softmax weights, in the place of its scores, and what they add up to.
  void score_and_weigh(Tile& tile, const AttentionConfig& config, const float* sink) const;
  /// What keys begin to end add to a tile's results, and into `out` what is done; its weights start at the key `first`.
  void add_values(const Tile& tile, int64_t begin, int64_t end, int64_t first, const Results& out) const;

  const Avx512Kernels& kernels_;
  int64_t keys_, width_;
  float longest_key_ = 0;  ///< Euclidean: no score is larger than it times the query's length
  uint32_t* k_;            ///< [blocks of kColumns keys][words of a row][kColumns], zero beyond the last key
  uint32_t* v_;            ///< [words of a column][head_dim], zero beyond the last key
};

}  // namespace vernier
