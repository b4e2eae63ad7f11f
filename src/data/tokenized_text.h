#pragma once

// Running text in tokens, so that several choices of windows cost one tokenization.

#include <cstdint>
#include <string>
#include <vector>

#include "vernier/data.h"

namespace vernier {

struct TokenizedText {
  std::string name;
  bool bos = false;          ///< whether windows begin with ids[0], which is BOS
  std::vector<int32_t> ids;  ///< BOS in front where the vocabulary adds it
};

TokenizedText tokenize_text(const Tokenizer& tokenizer, const std::string& name, const std::string& text);

/// text_windows() of what was tokenized. @throws Error{kInvalidArgument} as text_windows
EvaluationData windows_of(const TokenizedText& text, const WindowOptions& options);

}  // namespace vernier
