#pragma once

// A tokenizer of single bytes, and what tests add to it.

#include <string>
#include <utility>

#include "format/tokenizer_text.h"
#include "vernier/tokenizer.h"

namespace vernier {

/// The 256 bytes as ids 0..255, and nothing else.
inline TokenizerModel byte_model() {
  TokenizerModel model;
  model.tokens.assign(byte_alphabet().begin(), byte_alphabet().end());
  return model;
}

/// The token of both takes the next id.
inline void add_merge(TokenizerModel& model, const std::string& left, const std::string& right) {
  model.merges.emplace_back(left, right);
  model.tokens.push_back(left + right);
}

inline void add_token(TokenizerModel& model, AddedToken token) {
  token.id = static_cast<int32_t>(model.tokens.size());
  model.tokens.push_back(token.content);
  model.added.push_back(std::move(token));
}

}  // namespace vernier
