#include "ops/packed_attention.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "ops/kernels.h"

namespace vernier {

namespace {

using Kernels = Avx512Kernels;

// Queries per tile: a block of keys or values that lies in the first-level cache meets all of them.
constexpr int64_t kTileQueries = 8 * Kernels::kRows;
// Keys that are weighed before their values are: a tile's weights still lie close by when they are read again.
constexpr int64_t kKeyBlock = 512;
constexpr float kLog2E = std::numbers::log2e_v<float>;

int64_t rounded_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

void fetch_row(const float* x, int64_t n) {
  for (int64_t i = 0; i < n; i += Kernels::kVector) __builtin_prefetch(x + i, 0, 2);
}

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
  constexpr int64_t kAhead = 16;
  const Arena::Scope scope(arena);
  uint32_t* row = words_of(arena, row_words);
  for (int64_t key = 0; key < padded; ++key) {
    if (key + kAhead < keys_) fetch_row(k.row(key + kAhead), width_);
    if (key < keys_) {
      kernels.pack_row(k.row(key), width_, row);
      if (kernels.weigh != nullptr) longest_key_ = std::max(longest_key_, std::sqrt(sum_squares(k.row(key), width_)));
    } else {
      std::fill_n(row, row_words, 0u);
    }
    uint32_t* column = k_ + key / Kernels::kColumns * Kernels::kColumns * row_words + key % Kernels::kColumns;
    for (int64_t w = 0; w < row_words; ++w) column[w * Kernels::kColumns] = row[w];
  }
  float* zeros = arena.floats(width_);
  std::fill_n(zeros, width_, 0.0f);
  for (int64_t w = 0; w < words(keys_); ++w) {
    const int64_t key = w * kernels.values_per_word;
    for (int64_t i = key + kAhead; i < std::min(keys_, key + kAhead + kernels.values_per_word); ++i)
      fetch_row(v.row(i), width_);
    const float* const rows[] = {v.row(key), key + 1 < keys_ ? v.row(key + 1) : zeros};
    kernels.pack_rows(rows, width_, v_ + w * width_);
  }
}

/// A tile's queries, scores and results, in rows padded to a multiple of kRows.
struct PackedAttention::Tile {
  uint32_t* q;     // [kTileQueries, words of a row]
  float* scores;   // [kTileQueries, stride], then in place the words of their exponentials
  float* results;  // [kTileQueries, head_dim]
  int64_t stride = 0;
  float sums[kTileQueries];

  int64_t count = 0, padded = 0;  // queries
  int64_t position = 0;           // of the first one
  int64_t begin = 0;              // keys before it are seen by no query of the tile
  int64_t keys = 0;               // of all
  bool causal = true;

  /// Keys from there on are seen by none of the kRows queries from r on.
  int64_t end_of(int64_t r) const { return causal ? position + std::min(r + Kernels::kRows, count) : keys; }
  int64_t end() const { return end_of(padded - Kernels::kRows); }
  float* row(int64_t r) const { return scores + r * stride; }
  uint32_t* row_words(int64_t r) const { return reinterpret_cast<uint32_t*>(row(r)); }
};

float PackedAttention::pack_queries(const Tile& tile, const Slab& q, float scale) const {
  const int64_t row_words = words(width_);
  const float longest = kernels_.pack_scaled(q.data, q.ld, q.rows, width_, scale, tile.q);
  std::fill(tile.q + tile.count * row_words, tile.q + tile.padded * row_words, 0u);
  return std::sqrt(longest);
}

bool PackedAttention::attend_at_once(Tile& tile, const Slab& queries, const AttentionConfig& config, const float* sink,
                                     const Results& out) const {
  const bool windowed = config.window > 0 && tile.position + tile.count > config.window;
  if (kernels_.weigh == nullptr || config.soft_cap > 0 || windowed) return false;
  const float largest = longest_key_ * pack_queries(tile, queries, kLog2E);
  if (std::max(largest, sink != nullptr ? std::abs(*sink) * kLog2E : 0.0f) > Kernels::kLargestExponent) return false;
  const int64_t row_words = words(width_);
  float lanes[kTileQueries][Kernels::kVector] = {};
  const float beside = sink != nullptr ? std::exp(*sink) : 0.0f;
  tile.stride = kKeyBlock + Kernels::kVector;
  // Before these keys each query sees all.
  const int64_t all = (tile.causal ? tile.position + 1 : tile.keys) / Kernels::kColumns * Kernels::kColumns;
  for (int64_t begin = 0; begin < tile.end(); begin += kKeyBlock) {
    const int64_t end = std::min(tile.end(), begin + kKeyBlock), end_all = std::clamp(all, begin, end);
    kernels_.weigh_seen(tile.q, tile.padded, k_ + begin * row_words, row_words, end_all - begin, tile.row_words(0),
                        tile.stride, lanes[0]);
    for (int64_t key = end_all; key < end; key += Kernels::kColumns)
      for (int64_t r = 0; r < tile.padded; r += Kernels::kRows) {
        const int64_t columns = std::min(Kernels::kColumns, rounded_up(tile.end_of(r) - key, Kernels::kVector));
        if (columns <= 0) continue;
        const int64_t seen = tile.causal ? tile.position + r + 1 - key : tile.keys - key;
        kernels_.weigh(tile.q + r * row_words, row_words, k_ + key * row_words, row_words, columns, seen,
                       tile.causal ? 1 : 0, tile.row_words(r) + words(key - begin), tile.stride, lanes[r]);
      }
    for (int64_t r = 0; r < tile.padded; ++r) {
      tile.sums[r] = beside;
      for (const float lane : lanes[r]) tile.sums[r] += lane;
    }
    add_values(tile, begin, end, begin, out);
  }
  return true;
}

void PackedAttention::score_and_weigh(Tile& tile, const AttentionConfig& config, const float* sink) const {
  const int64_t row_words = words(width_);
  // Rows that lie a power of two apart would push each other out of the cache.
  tile.stride = rounded_up(keys_, Kernels::kColumns) + Kernels::kVector;
  for (int64_t key = tile.begin; key < tile.end(); key += Kernels::kColumns)
    for (int64_t r = 0; r < tile.padded; r += Kernels::kRows) {
      const int64_t columns = std::min(Kernels::kColumns, rounded_up(tile.end_of(r) - key, Kernels::kVector));
      if (columns <= 0) continue;
      kernels_.multiply(tile.q + r * row_words, row_words, k_ + key * row_words, Kernels::kColumns, row_words, columns,
                        {.out = tile.row(r) + key - tile.begin, .stride = tile.stride});
    }
  for (int64_t r = 0; r < tile.padded; ++r) {
    const int64_t size = tile.end_of(r / Kernels::kRows * Kernels::kRows) - tile.begin;
    const int64_t seen = tile.position + std::min(r, tile.count - 1) + 1 - tile.begin;  // padding is as the last row
    if (config.soft_cap > 0) cap_row(tile.row(r), size, static_cast<float>(config.soft_cap));
    const int64_t unseen = config.window > 0 ? std::max<int64_t>(0, seen - config.window) : 0;
    tile.sums[r] = kernels_.exp_row(tile.row(r), size, unseen, config.causal ? seen : size, sink);
  }
}

void PackedAttention::add_values(const Tile& tile, int64_t begin, int64_t end, int64_t first,
                                 const Results& out) const {
  for (int64_t r = 0; r < tile.padded; r += Kernels::kRows) {
    const int64_t keys = std::min(end, tile.end_of(r)) - begin;
    if (keys <= 0) continue;
    float factors[Kernels::kRows];
    for (int64_t i = 0; i < Kernels::kRows; ++i) factors[i] = 1.0f / tile.sums[r + i];
    float* const results = tile.results + r * width_;
    const bool last = tile.end_of(r) <= end, put = last && r + Kernels::kRows <= tile.count;
    // Rows of the result go where they are wanted as each is done: the processor writes them during the next products.
    for (int64_t column = 0; column < width_; column += Kernels::kColumns) {
      Kernels::RowSum to{.added = begin > tile.begin ? results + column : nullptr,
                         .added_stride = width_,
                         .factors = last ? factors : nullptr,
                         .out = results + column,
                         .stride = width_};
      if (put && out.as_words()) {
        to.words = out.words.row(r) + words(column);
        to.stride = out.words.stride;
      } else if (put) {
        to.out = out.rows.row(r) + column;
        to.stride = out.rows.ld;
      }
      kernels_.multiply(tile.row_words(r) + words(begin - first), tile.stride, v_ + words(begin) * width_ + column,
                        width_, words(keys), std::min(Kernels::kColumns, width_ - column), to);
    }
    for (int64_t i = r; last && !put && i < tile.count; ++i)
      if (out.as_words())
        kernels_.pack_row(tile.results + i * width_, width_, out.words.row(i));
      else
        std::copy_n(tile.results + i * width_, width_, out.rows.row(i));
  }
}

void PackedAttention::attend(Arena& arena, const Slab& q, int64_t first_row, const AttentionConfig& config,
                             const float* sink, const Results& out) const {
  const Arena::Scope scope(arena);
  Tile tile;
  tile.q = words_of(arena, kTileQueries * words(width_));
  tile.scores =
      arena.floats(kTileQueries * (rounded_up(std::max(keys_, kKeyBlock), Kernels::kColumns) + Kernels::kVector));
  tile.results = arena.floats(kTileQueries * width_);
  tile.keys = keys_;
  tile.causal = config.causal;
  for (int64_t first = 0; first < q.rows; first += kTileQueries) {
    tile.count = std::min(kTileQueries, q.rows - first);
    tile.padded = rounded_up(tile.count, Kernels::kRows);
    tile.position = first_row + first;
    tile.begin = config.window > 0
                     ? std::max<int64_t>(0, tile.position - config.window + 1) / Kernels::kColumns * Kernels::kColumns
                     : 0;
    const Slab queries = q.row_range(first, tile.count);
    const Results result = out.row_range(first, tile.count);
    // Heads lie beside each other, so that no row leads on to the next: they are fetched a tile ahead.
    const int64_t next = std::min(q.rows, first + tile.count + kTileQueries);
    for (int64_t r = first + tile.count; r < next; ++r) fetch_row(q.row(r), width_);
    if (attend_at_once(tile, queries, config, sink, result)) continue;
    pack_queries(tile, queries, 1.0f);
    score_and_weigh(tile, config, sink);
    for (int64_t key = tile.begin; key < tile.end(); key += kKeyBlock)
      add_values(tile, key, std::min(tile.end(), key + kKeyBlock), tile.begin, result);
  }
}

}  // namespace vernier
