#pragma once

#include <fmt/format.h>

#include <string>

#include "base/json.h"
#include "support/models.h"

namespace vernier {

/// CLIP's tokenizer with letters alone, whose begin and end are those of the tiny CLIP.
inline std::string letters_tokenizer() {
  constexpr int kBegin = 398, kEnd = 399;
  Json json = read_json(source_dir() / "tests/fixtures/tokenizers/clip/tokenizer.json");
  Json vocabulary = Json::object();
  int next = 0;
  for (const auto& [token, id] : json["model"]["vocab"].items())
    if (static_cast<unsigned char>(token[0]) < 127 &&
        (token.size() == 1 || (token.size() == 5 && token.ends_with("</w>"))))
      vocabulary[token] = next++;
  while (next < kBegin) {
    vocabulary[fmt::format("unused{}", next)] = next;
    ++next;
  }
  vocabulary["<|startoftext|>"] = kBegin;
  vocabulary["<|endoftext|>"] = kEnd;
  json["model"]["vocab"] = vocabulary;
  json["model"]["merges"] = Json::array();
  json["added_tokens"][0]["id"] = json["post_processor"]["cls"][1] = kBegin;
  json["added_tokens"][1]["id"] = json["post_processor"]["sep"][1] = kEnd;
  return json.dump();
}

}  // namespace vernier
