#pragma once

// Finds added tokens ("<|im_start|>") in text: leftmost first, the longest of those that start there.
//
//   AddedTokenMatcher matcher(tokens);
//   matcher.split(text, [&](std::string_view part, const AddedToken* token) { ... });   // nullptr: ordinary text

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "vernier/tokenizer.h"

namespace vernier {

class AddedTokenMatcher {
 public:
  /// Tokens with empty content are never found.
  /// @throws Error{kUnsupported} on a token longer than 4,096 bytes, which would make matching quadratic
  explicit AddedTokenMatcher(std::vector<AddedToken> tokens);

  using Emit = std::function<void(std::string_view, const AddedToken*)>;
  /// Cuts `text`, valid UTF-8, into tokens and the non-empty stretches between them.
  void split(std::string_view text, const Emit& emit) const;

 private:
  const AddedToken* longest_at(std::string_view text, size_t position) const;

  std::vector<AddedToken> tokens_;
  std::unordered_map<uint64_t, uint32_t> edges_;  // node << 8 | byte -> node; the root is 0
  std::vector<int32_t> token_of_node_;            // into tokens_; -1: none ends here
  std::array<bool, 256> starts_token_{};
};

}  // namespace vernier
