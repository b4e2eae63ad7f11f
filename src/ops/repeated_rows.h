#pragma once

// Rows that say the same before their places in a sequence are told apart: a token met again has the first layer's query,
// key and value as before, until they are rotated.

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace vernier {

struct RepeatedRows {
  std::vector<int64_t> firsts;  ///< rows whose token is met for the first time
  std::vector<int64_t> kind;    ///< of each row: which of `firsts` says the same

  explicit RepeatedRows(std::span<const int32_t> tokens) {
    std::unordered_map<int32_t, int64_t> kinds;
    for (size_t row = 0; row < tokens.size(); ++row) {
      const auto [known, is_new] = kinds.emplace(tokens[row], static_cast<int64_t>(firsts.size()));
      if (is_new) firsts.push_back(static_cast<int64_t>(row));
      kind.push_back(known->second);
    }
  }
};

}  // namespace vernier
