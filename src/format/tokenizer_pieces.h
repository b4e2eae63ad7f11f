#pragma once

// SentencePiece's pairs: start from characters, then always join the two neighbours that make the token of the highest
// score, leftmost first. Nothing keeps words apart but that a space is a character ("▁") which tokens only begin with.
// GGUF files hold the scores, and what counts is the ids that llama.cpp gives. A tokenizer.json holds merges in their
// place, which may rank two ways to make one token: then those count, as in Hugging Face's package.
//
//   PieceEncoder encoder(model);
//   encoder.encode("Hello, world!", PieceEncoder::Before::kNothing, ids);   // appends

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "vernier/tokenizer.h"

namespace vernier {

/// What pieces have in place of a space: "▁".
inline constexpr std::string_view kPieceSpace = "\u2581";
/// The byte that a token such as "<0x0A>" stands for.
std::optional<char> byte_of_piece(std::string_view token);
/// Text with "▁" as the spaces that it stands for.
std::string with_spaces(std::string_view piece);

class PieceEncoder {
 public:
  /// `model` must outlive it. @throws Error{kBadFile} when there are not as many scores as tokens, or a score is no number
  explicit PieceEncoder(const TokenizerModel& model);

  /// What stands before a part of a text.
  enum class Before { kNothing, kAddedToken, kText };
  /// Appends the ids of valid UTF-8. O(n log n).
  void encode(std::string_view text, Before before, std::vector<int32_t>& ids) const;

 private:
  int32_t id_of(std::string_view piece) const;
  /// How good it is to join them; nothing where they make no token.
  std::optional<float> score_of(std::string_view left, std::string_view right) const;
  void add_bytes(std::string_view character, std::vector<int32_t>& ids) const;

  const TokenizerModel& model_;
  std::unordered_map<std::string_view, int32_t> ids_;
  std::array<int32_t, 256> byte_ids_{};           // -1: no token
  std::unordered_map<uint64_t, uint32_t> ranks_;  // of merges, by both ids; empty: scores count
};

}  // namespace vernier
