#pragma once

// Whether two tokenizers mean the same by the same ids. Models are only comparable on a text that gets the same ids from
// both; tokenizers that differ elsewhere (padding, tokens the text does not use) are no obstacle.
//
//   const TokenizerComparison found = compare_tokenizers_on(a, b, {text});
//   if (found.ids) refuse(found.ids->text());                     // this text gets other ids
//   else if (found.tokenizers) warn(found.tokenizers->text());    // other texts might

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vernier/tokenizer.h"

namespace vernier {

/// The first thing that gives some text other ids.
struct TokenizerDifference {
  std::string part;        ///< `token 17`, `merge 4`, `added token "<s>"`, `pre-tokenizer`, ...
  std::string in_a, in_b;  ///< what each tokenizer has there, for a message

  std::string text() const;  ///< `token 17: "a" against "b"`
};

/// Where the ids of a text part.
struct IdDifference {
  size_t text_index = 0;      ///< which text
  size_t position = 0;        ///< how many ids agree before
  std::string excerpt;        ///< about 40 bytes of the text from there on, as `a` spells its ids
  std::vector<int32_t> a, b;  ///< the next ids, at most 8; empty at the end of the text

  std::string text() const;  ///< `id 3, at "lo world": [5, 6] against [7]`
};

/// Compares what decides ids: tokens by id, merges in order, added tokens, pre-tokenizer, BOS and EOS around a text.
/// Ids without a token (none, or the `[PAD17]` that converters fill up with) count as absent, so a list may be longer by
/// them. Pre-tokenizers are compared by what they do to a text (pretokenizer_probe.h), and what a GGUF file has no place
/// for (lstrip, rstrip, single_word, normalization, unknown token) by whether it gives an example other ids: a Hugging
/// Face tokenizer equals its own GGUF export unless the export lost something.
std::optional<TokenizerDifference> compare_tokenizers(const Tokenizer& a, const Tokenizer& b);

/// The options are those by which evaluation reads texts. Cost: tokenizes the text twice.
std::optional<IdDifference> first_id_difference(const Tokenizer& a, const Tokenizer& b, std::string_view text,
                                                const EncodeOptions& options = {.add_special = false,
                                                                                .parse_special = false});

struct TokenizerComparison {
  std::optional<IdDifference> ids;                ///< of the first text that gets other ids
  std::optional<TokenizerDifference> tokenizers;  ///< the cause, or what other texts could meet

  /// One sentence for a message; "" when nothing differs.
  std::string text() const;
};

/// All of the above.
TokenizerComparison compare_tokenizers_on(const Tokenizer& a, const Tokenizer& b,
                                          const std::vector<std::string_view>& texts,
                                          const EncodeOptions& options = {.add_special = false,
                                                                          .parse_special = false});

}  // namespace vernier
