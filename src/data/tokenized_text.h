#pragma once

// Running text in tokens, so that several choices of windows cost one tokenization.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "vernier/data.h"

namespace vernier {

struct TokenizedText {
  std::string name;
  bool bos = false;          ///< whether windows begin with ids[0], which is BOS
  std::vector<int32_t> ids;  ///< BOS in front where the vocabulary adds it
  std::vector<size_t> ends;  ///< of texts that were joined: where each ends in `ids`; empty: one text
};

/// Texts as one, in their order. Tokenized joined, as the texts themselves do not end in tokens' ends: where one ends is
/// exact but for the token that spans it.
TokenizedText tokenize_joined(const Tokenizer& tokenizer, const std::string& name,
                              const std::vector<std::string_view>& texts);
TokenizedText tokenize_text(const Tokenizer& tokenizer, const std::string& name, const std::string& text);

/// text_windows() of what was tokenized. @throws Error{kInvalidArgument} as text_windows
EvaluationData windows_of(const TokenizedText& text, const WindowOptions& options);

}  // namespace vernier
