#pragma once

// A tokenizer that fits the tiny models.

#include <algorithm>
#include <filesystem>

#include "vernier/tokenizer.h"

namespace vernier {

/// A tokenizer of 300 byte-level tokens with llama3's expressions, since the tiny models come without one.
inline TokenizerModel small_tokenizer() {
  TokenizerModel full =
      load_tokenizer_model(std::filesystem::path(VERNIER_SOURCE_DIR) / "tests/fixtures/tokenizers/llama3");
  full.tokens.resize(300);
  std::erase_if(full.merges, [&](const auto& merge) {
    const auto known = [&](const std::string& token) {
      return std::find(full.tokens.begin(), full.tokens.end(), token) != full.tokens.end();
    };
    return !known(merge.first) || !known(merge.second) || !known(merge.first + merge.second);
  });
  full.bos_id = 0;
  full.bos_token = full.tokens[0];
  full.eos_id = 1;
  full.eos_token = full.tokens[1];
  full.chat_template = "{{ messages }}";
  return full;
}

}  // namespace vernier
