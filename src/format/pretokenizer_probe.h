#pragma once

// Whether two sets of pre-tokenizer rules cut alike, whatever their expressions look like: both cut a text made to tell
// the rules in use apart.
//
//   if (const auto difference = first_split_difference(model.pre_tokenizer, pretokenizer_for_gguf("qwen2").rules))
//     print(quoted(difference->a), quoted(difference->b));   // ["123","4"] ["1","2","3","4"]

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vernier/tokenizer.h"

namespace vernier {

/// Runs of 1 to 7 digits, contractions in both cases, line breaks and runs of spaces, code, punctuation touching letters,
/// and several scripts with combining marks: every rule that llama.cpp's names stand for here cuts it in its own way.
std::string_view pretokenizer_probe();

/// The words of the probe.
/// @throws as PreTokenizer does
std::vector<std::string> probe_words(const PreTokenizerRules& rules, const std::string& origin);

/// The words from the first one that differs to where both lie level again, at most 6 of each.
struct SplitDifference {
  std::vector<std::string> a, b;
};

/// Nothing when all words are the same.
std::optional<SplitDifference> first_split_difference(const std::vector<std::string>& a,
                                                      const std::vector<std::string>& b);

/// The words as a JSON list, so that line breaks and spaces can be seen.
std::string quoted(const std::vector<std::string>& words);

}  // namespace vernier
