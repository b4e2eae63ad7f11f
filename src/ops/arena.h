#pragma once

// Scratch memory of one worker: grows to what the largest sequence needs, then is reused, so that the hot path never
// allocates. A Slab is a float matrix inside it.
//
//   Arena arena;
//   { Arena::Scope scope(arena); Slab q = arena.slab(512, 64); ... }   // gone at the end of the scope

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

namespace vernier {

/// Rows beyond `rows` up to the next multiple of this may be written by matrix products: a few shapes then serve every
/// sequence length.
inline constexpr int64_t kRowPadding = 32;

inline int64_t padded_rows(int64_t rows) { return (rows + kRowPadding - 1) / kRowPadding * kRowPadding; }

/// float32 [rows, cols], row stride `ld`.
struct Slab {
  float* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t ld = 0;

  float* row(int64_t r) const { return data + r * ld; }
  Slab columns(int64_t first, int64_t count) const { return {data + first, rows, count, ld}; }
  Slab row_range(int64_t first, int64_t count) const { return {row(first), count, cols, ld}; }
  Slab rows_from(int64_t first) const { return row_range(first, rows - first); }
};

class Arena {
 public:
  /// Aligned to a cache line; contents undefined.
  float* floats(int64_t count) {
    const size_t need = (static_cast<size_t>(count) + 15) / 16 * 16;
    while (block_ < blocks_.size() && used_ + need > blocks_[block_].size) {
      ++block_;
      used_ = 0;
    }
    if (block_ == blocks_.size()) {
      constexpr size_t kSmallestBlock = size_t{1} << 20;
      const size_t size = need > kSmallestBlock ? need : kSmallestBlock;
      blocks_.push_back({Memory(static_cast<float*>(::operator new(size * sizeof(float), kAlignment))), size});
    }
    float* result = blocks_[block_].memory.get() + used_;
    used_ += need;
    return result;
  }

  /// Row capacity is padded (kRowPadding) and the padding zeroed, so that products over it stay finite.
  Slab slab(int64_t rows, int64_t cols) {
    // One padding more than the rows themselves need: the rows from any first one on are padded again.
    const int64_t capacity = padded_rows(rows) + kRowPadding;
    Slab s{floats(capacity * cols), rows, cols, cols};
    std::memset(s.row(rows), 0, static_cast<size_t>((capacity - rows) * cols) * sizeof(float));
    return s;
  }

  class Scope {
   public:
    explicit Scope(Arena& arena) : arena_(arena), block_(arena.block_), used_(arena.used_) {}
    ~Scope() {
      arena_.block_ = block_;
      arena_.used_ = used_;
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Arena& arena_;
    size_t block_, used_;
  };

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Release {
    void operator()(float* p) const { ::operator delete(p, kAlignment); }
  };
  using Memory = std::unique_ptr<float, Release>;
  struct Block {
    Memory memory;
    size_t size;
  };
  std::vector<Block> blocks_;
  size_t block_ = 0, used_ = 0;
};

}  // namespace vernier
