#include "ops/packed_attention.h"

#include <algorithm>

#include "ops/kernels.h"

namespace vernier {

namespace {

using Kernels = Avx512Kernels;

// Queries per tile: a block of keys or values that lies in the first-level cache meets all of them, and the scores of
// 2,048 keys take 0.4 MB of the second.
constexpr int64_t kTileQueries = 8 * Kernels::kRows;
constexpr int64_t kValueBlock = 256;  // keys whose values are read again for every few rows

int64_t rounded_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

uint32_t* words_of(Arena& arena, int64_t count) { return reinterpret_cast<uint32_t*>(arena.floats(count)); }

}  // namespace

const Avx512Kernels* PackedAttention::kernels_for(ComputeType type, int64_t head_dim) {
  if (head_dim % Kernels::kVector != 0) return nullptr;
  const Avx512Kernels* kernels = avx512_kernels(type);
  return kernels != nullptr ? kernels : avx512_kernels(ComputeType::kFloat32);
}

int64_t PackedAttention::words(int64_t values) const {
  return (values + kernels_.values_per_word - 1) / kernels_.values_per_word;
}

PackedAttention::PackedAttention(Arena& arena, const Avx512Kernels& kernels, const Slab& k, const Slab& v)
    : kernels_(kernels), keys_(k.rows), width_(k.cols) {
  const int64_t row_words = words(width_), padded = rounded_up(keys_, Kernels::kColumns);
  k_ = words_of(arena, padded * row_words);
  v_ = words_of(arena, words(keys_) * width_);
  const Arena::Scope scope(arena);
  uint32_t* row = words_of(arena, row_words);
  for (int64_t key = 0; key < padded; ++key) {
    if (key < keys_)
      kernels.pack_row(k.row(key), width_, row);
    else
      std::fill_n(row, row_words, 0u);
    uint32_t* column = k_ + key / Kernels::kColumns * Kernels::kColumns * row_words + key % Kernels::kColumns;
    for (int64_t w = 0; w < row_words; ++w) column[w * Kernels::kColumns] = row[w];
  }
  float* zeros = arena.floats(width_);
  std::fill_n(zeros, width_, 0.0f);
  for (int64_t w = 0; w < words(keys_); ++w) {
    const int64_t key = w * kernels.values_per_word;
    const float* const rows[] = {v.row(key), key + 1 < keys_ ? v.row(key + 1) : zeros};
    kernels.pack_rows(rows, width_, v_ + w * width_);
  }
}

/// A tile's queries, scores and results, in rows padded to a multiple of kRows.
struct PackedAttention::Tile {
  uint32_t* q;     // [kTileQueries, words of a row]
  float* scores;   // [kTileQueries, score_stride], then in place the words of their exponentials
  float* results;  // [kTileQueries, head_dim]
  int64_t score_stride;
};

void PackedAttention::attend(Arena& arena, const Slab& q, int64_t first_row, const AttentionConfig& config,
                             const float* sink, const Slab& out) const {
  const Arena::Scope scope(arena);
  const int64_t row_words = words(width_), per_word = kernels_.values_per_word;
  Tile tile;
  // Rows that lie a power of two apart would push each other out of the cache.
  tile.score_stride = rounded_up(keys_, Kernels::kColumns) + Kernels::kVector;
  tile.q = words_of(arena, kTileQueries * row_words);
  tile.scores = arena.floats(kTileQueries * tile.score_stride);
  tile.results = arena.floats(kTileQueries * width_);
  for (int64_t first = 0; first < q.rows; first += kTileQueries) {
    const int64_t count = std::min(kTileQueries, q.rows - first), padded = rounded_up(count, Kernels::kRows);
    const int64_t position = first_row + first;  // of the tile's first query
    // Keys before `begin` are seen by no query of the tile, those from end_of(r) on by none of the kRows from r on.
    const int64_t begin =
        config.window > 0 ? std::max<int64_t>(0, position - config.window + 1) / Kernels::kColumns * Kernels::kColumns
                          : 0;
    const auto end_of = [&](int64_t r) {
      return config.causal ? position + std::min(r + Kernels::kRows, count) : keys_;
    };
    const int64_t end = end_of(padded - Kernels::kRows);

    for (int64_t r = 0; r < count; ++r) kernels_.pack_row(q.row(first + r), width_, tile.q + r * row_words);
    std::fill(tile.q + count * row_words, tile.q + padded * row_words, 0u);
    for (int64_t key = begin; key < end; key += Kernels::kColumns)
      for (int64_t r = 0; r < padded; r += Kernels::kRows) {
        const int64_t columns = std::min(Kernels::kColumns, rounded_up(end_of(r) - key, Kernels::kVector));
        if (columns <= 0) continue;
        kernels_.multiply(tile.q + r * row_words, row_words, k_ + key * row_words, Kernels::kColumns, row_words,
                          columns, tile.scores + r * tile.score_stride + key - begin, tile.score_stride,
                          /*accumulate=*/false);
      }

    float sums[kTileQueries];
    for (int64_t r = 0; r < padded; ++r) {
      const int64_t size = end_of(r / Kernels::kRows * Kernels::kRows) - begin;
      const int64_t seen = position + std::min(r, count - 1) + 1 - begin;  // rows of padding are as the last one
      float* scores = tile.scores + r * tile.score_stride;
      if (config.soft_cap > 0) cap_row(scores, size, static_cast<float>(config.soft_cap));
      const int64_t unseen = config.window > 0 ? std::max<int64_t>(0, seen - config.window) : 0;
      sums[r] = kernels_.exp_row(scores, size, unseen, config.causal ? seen : size, sink);
    }

    for (int64_t key = begin; key < end; key += kValueBlock)
      for (int64_t r = 0; r < padded; r += Kernels::kRows) {
        const int64_t keys = std::min(kValueBlock, end_of(r) - key);
        if (keys <= 0) continue;
        const auto* weights = reinterpret_cast<const uint32_t*>(tile.scores + r * tile.score_stride);
        for (int64_t column = 0; column < width_; column += Kernels::kColumns)
          kernels_.multiply(weights + (key - begin) / per_word, tile.score_stride,
                            v_ + key / per_word * width_ + column, width_, words(keys),
                            std::min(Kernels::kColumns, width_ - column), tile.results + r * width_ + column, width_,
                            /*accumulate=*/key > begin);
      }
    for (int64_t r = 0; r < count; ++r)
      write_scaled(tile.results + r * width_, width_, 1.0f / sums[r], out.row(first + r));
  }
}

}  // namespace vernier
