#include "vernier/tokenizer.h"

#include <optional>
#include <unordered_map>
#include <utility>

#include "base/fail.h"
#include "format/pretokenizer.h"
#include "format/tokenizer_added.h"
#include "format/tokenizer_bpe.h"
#include "format/tokenizer_pieces.h"
#include "format/tokenizer_text.h"

namespace vernier {
namespace {

void check_ids(const TokenizerModel& model) {
  const auto check = [&](int32_t id, const char* what) {
    if (id < 0 || static_cast<size_t>(id) >= model.tokens.size())
      fail(ErrorKind::kBadFile, "tokenizer: {}: {} id {} is outside the vocabulary of {} tokens", model.origin, what,
           id, model.tokens.size());
  };
  for (const AddedToken& token : model.added) check(token.id, "added token");
  for (const int32_t id : model.prefix_ids) check(id, "template");
  for (const int32_t id : model.suffix_ids) check(id, "template");
  if (model.bos_id) check(*model.bos_id, "BOS");
  if (model.eos_id) check(*model.eos_id, "EOS");
  if (model.unknown_id) check(*model.unknown_id, "unknown token");
  for (const int32_t id : model.end_ids) check(id, "end of answer");
  for (const auto& [role, id] : model.special_ids) check(id, role.c_str());
}

bool normalizes(const TokenizerModel& model) { return model.nfc || model.one_space || model.lowercase; }

std::string normalized_text(const TokenizerModel& model, std::string_view text) {
  std::string result = model.nfc ? to_nfc(text) : std::string(text);
  if (model.one_space) result = with_single_spaces(result);
  return model.lowercase ? to_lower(result) : result;
}

// The tokens to look for in raw text, or those for normalized text in their normalized form.
AddedTokenMatcher make_matcher(const TokenizerModel& model, bool normalized, bool with_special) {
  std::vector<AddedToken> chosen;
  for (AddedToken token : model.added) {
    if (token.normalized != normalized || (token.special && !with_special)) continue;
    if (normalized && normalizes(model)) token.content = normalized_text(model, replace_invalid_utf8(token.content));
    chosen.push_back(std::move(token));
  }
  return AddedTokenMatcher(std::move(chosen));
}

struct Matchers {
  AddedTokenMatcher raw, normalized;
  Matchers(const TokenizerModel& model, bool with_special)
      : raw(make_matcher(model, false, with_special)), normalized(make_matcher(model, true, with_special)) {}
};
}  // namespace

struct Tokenizer::Impl {
  TokenizerModel model;
  PreTokenizer pre_tokenizer;
  std::optional<BytePairEncoder> words;
  std::optional<PieceEncoder> pieces;  // in place of words
  Matchers all, ordinary;              // ordinary: without special tokens
  std::unordered_map<int32_t, const AddedToken*> added;

  explicit Impl(TokenizerModel from)
      : model((check_ids(from), std::move(from))),
        pre_tokenizer(model.pre_tokenizer, model.origin),
        all(model, true),
        ordinary(model, false) {
    if (model.has_scores())
      pieces.emplace(model);
    else
      words.emplace(model);
    for (const AddedToken& token : model.added) added.emplace(token.id, &token);
  }
};

Tokenizer::Tokenizer(TokenizerModel model) : impl_(std::make_shared<const Impl>(std::move(model))) {}

int32_t Tokenizer::vocab_size() const { return static_cast<int32_t>(impl_->model.tokens.size()); }
const TokenizerModel& Tokenizer::model() const { return impl_->model; }

std::vector<int32_t> Tokenizer::encode(std::string_view utf8, const EncodeOptions& options) const {
  const TokenizerModel& model = impl_->model;
  std::string repaired;
  if (valid_utf8_prefix(utf8) < utf8.size()) {
    repaired = replace_invalid_utf8(utf8);
    utf8 = repaired;
  }
  std::vector<int32_t> ids;
  ids.reserve(utf8.size() / 3 + 8);
  if (options.add_special) ids = model.prefix_ids;

  const Matchers& matchers = options.parse_special ? impl_->all : impl_->ordinary;
  PreTokenizer::Scratch splitting(impl_->pre_tokenizer);
  BytePairEncoder::Scratch merging;
  const std::function<void(std::string_view)> on_word = [&](std::string_view word) {
    impl_->words->encode(word, merging, ids);
  };
  using Before = PieceEncoder::Before;
  Before before = Before::kNothing;
  const AddedTokenMatcher::Emit on_normalized = [&](std::string_view part, const AddedToken* token) {
    if (token != nullptr) {
      ids.push_back(token->id);
    } else if (impl_->pieces) {
      impl_->pieces->encode(part, before, ids);
    } else {
      impl_->pre_tokenizer.split(part, splitting, on_word);
    }
    before = token != nullptr ? Before::kAddedToken : Before::kText;
  };
  matchers.raw.split(utf8, [&](std::string_view part, const AddedToken* token) {
    if (token != nullptr) {
      ids.push_back(token->id);
      before = Before::kAddedToken;
    } else if (normalizes(model)) {
      matchers.normalized.split(normalized_text(model, part), on_normalized);
    } else {
      matchers.normalized.split(part, on_normalized);
    }
  });
  if (options.add_special) ids.insert(ids.end(), model.suffix_ids.begin(), model.suffix_ids.end());
  return ids;
}

std::string Tokenizer::decode(std::span<const int32_t> ids) const {
  const std::string& word_end = impl_->model.word_end;
  std::string bytes;
  for (const int32_t id : ids) {
    if (id < 0 || id >= vocab_size())
      fail(ErrorKind::kInvalidArgument, "tokenizer: {}: id {} is outside the vocabulary of {} tokens",
           impl_->model.origin, id, vocab_size());
    const auto added = impl_->added.find(id);
    std::string_view token = impl_->model.tokens[id];
    const bool ends_word = !word_end.empty() && token.ends_with(word_end);
    if (added != impl_->added.end()) {
      bytes += added->second->content;
      continue;
    }
    if (impl_->pieces) {
      const std::optional<char> byte = byte_of_piece(token);
      bytes += byte ? std::string(1, *byte) : with_spaces(token);
      continue;
    }
    if (ends_word) token.remove_suffix(word_end.size());
    const std::optional<std::string> spelled = bytes_of_token(token);
    bytes += spelled ? *spelled : std::string(token);
    if (ends_word) bytes += ' ';
  }
  if (!word_end.empty() && bytes.ends_with(' ')) bytes.pop_back();
  if (impl_->model.space_prefix != SpacePrefix::kNone && bytes.starts_with(' ')) bytes.erase(0, 1);
  return valid_utf8_prefix(bytes) < bytes.size() ? replace_invalid_utf8(bytes) : bytes;
}

}  // namespace vernier
