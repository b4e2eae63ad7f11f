#pragma once

// Byte-pair encoding of one word: start from its bytes, then always apply the best-ranked merge, leftmost first.
//
//   BytePairEncoder encoder(model);
//   BytePairEncoder::Scratch scratch;
//   encoder.encode("hello", scratch, ids);   // appends

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "vernier/tokenizer.h"

namespace vernier {

/// Of two ids, for maps of what they make together.
inline uint64_t pair_key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

class BytePairEncoder {
 public:
  struct Symbol {
    int32_t id, previous, next;
    bool alive;
  };
  struct Candidate {
    uint32_t rank;
    int32_t position, result;
    bool operator<(const Candidate& other) const {  // for a heap with the best rank, then the leftmost, on top
      return rank != other.rank ? rank > other.rank : position > other.position;
    }
  };
  struct StringHash : std::hash<std::string_view> {
    using is_transparent = void;  // NOLINT: what containers look for
  };
  /// Working memory of one thread, and its cache of words already seen.
  struct Scratch {
    std::vector<Symbol> symbols;
    std::vector<Candidate> heap;
    std::unordered_map<std::string, std::pair<size_t, size_t>, StringHash, std::equal_to<>> cache;  // into cached_ids
    std::vector<int32_t> cached_ids;
  };

  /// @throws Error{kBadFile} when a merge names a token, or makes one, that does not exist
  explicit BytePairEncoder(const TokenizerModel& model);

  /// Appends the ids of a word given as plain bytes. O(n log n).
  void encode(std::string_view word, Scratch& scratch, std::vector<int32_t>& ids) const;
  /// Whether the merges alone build every token of the vocabulary, so that ignore_merges changes nothing.
  bool merges_reach_all_words(const TokenizerModel& model) const;

 private:
  struct Merge {
    uint32_t rank;
    int32_t result;
  };
  struct PairHash {
    size_t operator()(uint64_t pair) const { return (pair ^ pair >> 29) * 0x9E3779B97F4A7C15u >> 8; }
  };

  void merge_bytes(std::string_view word, Scratch& scratch, std::vector<int32_t>& ids) const;
  const Merge* find_merge(int32_t left, int32_t right) const;

  std::array<int32_t, 256> byte_ids_;  // -1: no token
  std::array<int32_t, 256> last_ids_;  // of a word's last byte: with the end of words behind it, if there is one
  std::unordered_map<uint64_t, Merge, PairHash> merges_;
  std::unordered_map<std::string, int32_t, StringHash, std::equal_to<>> whole_words_;  // by bytes; for ignore_merges
  std::optional<int32_t> unknown_id_;
  bool fuse_unknown_ = false;
};

}  // namespace vernier
