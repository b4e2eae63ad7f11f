#include "format/tokenizer_difference.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "format/pretokenizer_probe.h"
#include "format/tokenizer_bpe.h"
#include "format/tokenizer_text.h"

namespace vernier {
namespace {

using Difference = std::optional<TokenizerDifference>;

// Converters give ids without a token this name.
bool stands_for_nothing(const std::string& token, size_t id) {
  return token.empty() || (token.starts_with("[PAD") && token == fmt::format("[PAD{}]", id));
}

std::string quoted_excerpt(std::string_view text) { return fmt::format("\"{}\"", shorten(text)); }

std::string id_list(const std::vector<int32_t>& ids) { return fmt::format("[{}]", fmt::join(ids, ", ")); }

Difference compare_tokens(const TokenizerModel& a, const TokenizerModel& b) {
  static const std::string nothing;
  const auto token_of = [](const TokenizerModel& model, size_t id) -> const std::string& {
    return id < model.tokens.size() && !stands_for_nothing(model.tokens[id], id) ? model.tokens[id] : nothing;
  };
  for (size_t id = 0; id < std::max(a.tokens.size(), b.tokens.size()); ++id) {
    const std::string &in_a = token_of(a, id), &in_b = token_of(b, id);
    const auto shown = [](const std::string& token) { return token.empty() ? "nothing" : quoted_excerpt(token); };
    if (in_a != in_b) return TokenizerDifference{fmt::format("token {}", id), shown(in_a), shown(in_b)};
  }
  return std::nullopt;
}

Difference compare_merges(const TokenizerModel& a, const TokenizerModel& b) {
  if (a.has_scores() && a.merges.empty() != b.merges.empty()) return std::nullopt;
  const auto [in_a, in_b] = std::mismatch(a.merges.begin(), a.merges.end(), b.merges.begin(), b.merges.end());
  if (in_a == a.merges.end() && in_b == b.merges.end()) return std::nullopt;
  const auto shown = [](auto merge, auto end) {
    return merge == end ? std::string("none") : quoted_excerpt(merge->first + " " + merge->second);
  };
  return TokenizerDifference{fmt::format("merge {}", in_a - a.merges.begin()), shown(in_a, a.merges.end()),
                             shown(in_b, b.merges.end())};
}

Difference compare_scores(const TokenizerModel& a, const TokenizerModel& b) {
  const auto kind = [](const TokenizerModel& model) {
    return model.has_scores() ? "pieces by score" : "byte-level BPE";
  };
  if (a.has_scores() != b.has_scores()) return TokenizerDifference{"kind", kind(a), kind(b)};
  // Where exactly, GGUF files have no word for (gguf_tokenizer_losses).
  const bool space_a = a.space_prefix != SpacePrefix::kNone, space_b = b.space_prefix != SpacePrefix::kNone;
  if (space_a != space_b)
    return TokenizerDifference{"space before a text", space_a ? "yes" : "no", space_b ? "yes" : "no"};
  if (a.merges.empty() != b.merges.empty()) return std::nullopt;  // of one that scores stand for in the other
  const auto [in_a, in_b] = std::mismatch(a.scores.begin(), a.scores.end(), b.scores.begin(), b.scores.end());
  if (in_a != a.scores.end() && in_b != b.scores.end())
    return TokenizerDifference{fmt::format("score of token {}", in_a - a.scores.begin()), fmt::format("{}", *in_a),
                               fmt::format("{}", *in_b)};
  return std::nullopt;
}

std::string flags_of(const AddedToken& token) {
  std::string flags;
  for (const auto& [set, name] : {std::pair(token.special, "special"),
                                  {token.lstrip, "lstrip"},
                                  {token.rstrip, "rstrip"},
                                  {token.single_word, "single_word"},
                                  {token.normalized, "normalized"}})
    if (set) flags += (flags.empty() ? "" : " ") + std::string(name);
  return flags.empty() ? "plain" : flags;
}

bool gives_other_ids(const Tokenizer& a, const Tokenizer& b, const std::string& example) {
  return first_id_difference(a, b, example, {.add_special = false}).has_value();
}

Difference compare_added(const Tokenizer& a, const Tokenizer& b) {
  const auto by_id = [](const TokenizerModel& model) {
    std::map<int32_t, const AddedToken*> tokens;
    for (const AddedToken& token : model.added) tokens.emplace(token.id, &token);
    return tokens;
  };
  const auto in_a = by_id(a.model()), in_b = by_id(b.model());
  const auto lacks = [](const auto& tokens, const auto& others) -> const AddedToken* {
    for (const auto& [id, token] : tokens)
      if (!others.contains(id)) return token;
    return nullptr;
  };
  const auto part = [](const AddedToken& token) {
    return fmt::format("added token {}", quoted_excerpt(token.content));
  };
  if (const AddedToken* token = lacks(in_a, in_b)) return TokenizerDifference{part(*token), flags_of(*token), "none"};
  if (const AddedToken* token = lacks(in_b, in_a)) return TokenizerDifference{part(*token), "none", flags_of(*token)};
  for (const auto& [id, first] : in_a) {
    const AddedToken& second = *in_b.at(id);
    if (first->content != second.content)
      return TokenizerDifference{fmt::format("added token {}", id), quoted_excerpt(first->content),
                                 quoted_excerpt(second.content)};
    const std::string flags = flags_of(*first), others = flags_of(second);
    if (flags == others) continue;
    if (first->special != second.special || gives_other_ids(a, b, "x " + first->content + " x") ||
        gives_other_ids(a, b, "x" + first->content + "x"))
      return TokenizerDifference{part(*first), flags, others};
  }
  return std::nullopt;
}

Difference compare_pre_tokenizers(const TokenizerModel& a, const TokenizerModel& b) {
  const PreTokenizerRules &left = a.pre_tokenizer, &right = b.pre_tokenizer;
  if (left.splits == right.splits && left.add_prefix_space == right.add_prefix_space &&
      left.use_gpt2_split == right.use_gpt2_split)
    return std::nullopt;
  const auto split = first_split_difference(probe_words(left, a.origin), probe_words(right, b.origin));
  if (!split) return std::nullopt;
  return TokenizerDifference{"pre-tokenizer", quoted(split->a), quoted(split->b)};
}

// What the encoder is told, where it makes a difference to these tokens.
Difference compare_encoding(const TokenizerModel& a, const TokenizerModel& b) {
  const auto on_off = [](bool on) { return on ? std::string("on") : std::string("off"); };
  if (a.ignore_merges != b.ignore_merges && !BytePairEncoder(a).merges_reach_all_words(a))
    return TokenizerDifference{"ignore_merges", on_off(a.ignore_merges), on_off(b.ignore_merges)};
  if (!a.has_scores() && (a.unknown_id != b.unknown_id || a.fuse_unknown != b.fuse_unknown)) {
    std::vector<std::string_view> sorted(a.tokens.begin(), a.tokens.end());
    std::sort(sorted.begin(), sorted.end());
    const auto shown = [](const TokenizerModel& model) {
      return model.unknown_id ? fmt::format("{}{}", *model.unknown_id, model.fuse_unknown ? " for a run" : "") : "none";
    };
    for (const std::string& byte : byte_alphabet())
      if (!std::binary_search(sorted.begin(), sorted.end(), byte))
        return TokenizerDifference{"unknown token", shown(a), shown(b)};
  }
  if (a.prefix_ids != b.prefix_ids)
    return TokenizerDifference{"ids before a text (BOS)", id_list(a.prefix_ids), id_list(b.prefix_ids)};
  if (a.suffix_ids != b.suffix_ids)
    return TokenizerDifference{"ids behind a text (EOS)", id_list(a.suffix_ids), id_list(b.suffix_ids)};
  return std::nullopt;
}

}  // namespace

std::string TokenizerDifference::text() const { return fmt::format("{}: {} against {}", part, in_a, in_b); }

std::string IdDifference::text() const {
  const std::string place = excerpt.empty() ? "the end of the text" : quoted_excerpt(excerpt);
  return fmt::format("id {}, at {}: {} against {}", position, place, id_list(a), id_list(b));
}

std::string TokenizerComparison::text() const {
  if (!ids) return tokenizers ? tokenizers->text() : "";
  return tokenizers ? fmt::format("{} ({})", ids->text(), tokenizers->text()) : ids->text();
}

std::optional<TokenizerDifference> compare_tokenizers(const Tokenizer& a, const Tokenizer& b) {
  const TokenizerModel &left = a.model(), &right = b.model();
  if (Difference found = compare_tokens(left, right)) return found;
  if (Difference found = compare_scores(left, right)) return found;
  if (Difference found = compare_merges(left, right)) return found;
  if (Difference found = compare_added(a, b)) return found;
  if (Difference found = compare_pre_tokenizers(left, right)) return found;
  // A letter with its accent apart, and one that form C replaces.
  if (left.nfc != right.nfc && gives_other_ids(a, b, "e\u0301 \u212B"))
    return TokenizerDifference{"normalization", left.nfc ? "NFC" : "none", right.nfc ? "NFC" : "none"};
  for (const auto& [name, flag] :
       {std::pair("lower case", &TokenizerModel::lowercase), {"single spaces", &TokenizerModel::one_space}})
    if (left.*flag != right.*flag && gives_other_ids(a, b, "A a  b"))
      return TokenizerDifference{name, left.*flag ? "yes" : "no", right.*flag ? "yes" : "no"};
  if (left.word_end != right.word_end)
    return TokenizerDifference{"end of words", quoted_excerpt(left.word_end), quoted_excerpt(right.word_end)};
  return compare_encoding(left, right);
}

std::optional<IdDifference> first_id_difference(const Tokenizer& a, const Tokenizer& b, std::string_view text,
                                                const EncodeOptions& options) {
  const std::vector<int32_t> ids = a.encode(text, options), others = b.encode(text, options);
  const auto [in_a, in_b] = std::mismatch(ids.begin(), ids.end(), others.begin(), others.end());
  if (in_a == ids.end() && in_b == others.end()) return std::nullopt;
  constexpr ptrdiff_t kShownIds = 8, kExcerptIds = 16;
  constexpr size_t kExcerptBytes = 40;
  IdDifference found;
  found.position = static_cast<size_t>(in_a - ids.begin());
  found.a.assign(in_a, in_a + std::min(kShownIds, ids.end() - in_a));
  found.b.assign(in_b, in_b + std::min(kShownIds, others.end() - in_b));
  // Of a token that starts inside a character the ones before are shown too: a character has at most 4 bytes.
  const auto end = in_a + std::min(kExcerptIds, ids.end() - in_a);
  auto begin = in_a;
  do {
    found.excerpt = a.decode(std::vector<int32_t>(begin, end));
  } while (found.excerpt.starts_with("\uFFFD") && begin != ids.begin() && in_a - --begin <= 3);
  size_t length = 0;
  while (length < found.excerpt.size() && length < kExcerptBytes) length += utf8_at(found.excerpt, length).length;
  found.excerpt.resize(length);
  return found;
}

TokenizerComparison compare_tokenizers_on(const Tokenizer& a, const Tokenizer& b,
                                          const std::vector<std::string_view>& texts, const EncodeOptions& options) {
  TokenizerComparison result;
  result.tokenizers = compare_tokenizers(a, b);
  for (size_t i = 0; i < texts.size() && !result.ids; ++i) {
    result.ids = first_id_difference(a, b, texts[i], options);
    if (result.ids) result.ids->text_index = i;
  }
  return result;
}

}  // namespace vernier
