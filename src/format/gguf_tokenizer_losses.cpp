// What a tokenizer loses in a GGUF file, and proof: a text whose ids differ.

#include <fmt/ranges.h>

#include <algorithm>

#include "format/gguf_special_tokens.h"
#include "format/tokenizer_pieces.h"
#include "format/tokenizer_text.h"
#include "vernier/tokenizer.h"

namespace vernier {

namespace {

using Flag = bool AddedToken::*;

struct FlagLoss {
  Flag flag;
  const char* name;
  const char* before;  // with `behind`, a text around the token in which the flag shows
  const char* behind;
};

constexpr FlagLoss kFlags[] = {{&AddedToken::lstrip, "lstrip", "x ", ""},
                               {&AddedToken::rstrip, "rstrip", "", " x"},
                               {&AddedToken::single_word, "single_word", "x", "x"}};

std::string ids_text(const std::vector<int32_t>& ids) {
  constexpr size_t kMost = 8;
  return fmt::format("[{}{}]", fmt::join(ids.begin(), ids.begin() + std::min(ids.size(), kMost), ", "),
                     ids.size() > kMost ? ", ..." : "");
}

/// A character whose UTF-8 holds the byte; "" for bytes that no character has.
std::string character_with(int byte) {
  const auto text = [](std::initializer_list<int> bytes) {
    std::string all;
    for (const int b : bytes) all += static_cast<char>(b);
    return all;
  };
  if (byte < 0x80) return text({byte});
  if (byte < 0xc0) return text({0xc3, byte});
  if (byte < 0xc2 || byte > 0xf4) return "";
  if (byte < 0xe0) return text({byte, 0xa5});
  if (byte < 0xf0) return text({byte, byte == 0xed ? 0x95 : 0xa5, 0xa5});
  return text({byte, byte == 0xf4 ? 0x85 : 0x95, 0xa5, 0xa5});
}

class Losses {
 public:
  explicit Losses(const TokenizerModel& model) : model_(model) {}

  void add_all() {
    add_ends();
    for (const FlagLoss& loss : kFlags)
      if (!model_.has_scores()) add_flag(loss);  // of pieces llama.cpp has them by the model's name
    if (model_.nfc)
      compare("the normalization to form C (a letter and an accent to one character)", {"e\u0301"},
              [](TokenizerModel& model) { model.nfc = false; });
    if (model_.pre_tokenizer.add_prefix_space)
      compare("add_prefix_space, a space before every text", {"x"},
              [](TokenizerModel& model) { model.pre_tokenizer.add_prefix_space = false; });
    if (model_.space_prefix == SpacePrefix::kPartsWithout || model_.space_prefix == SpacePrefix::kTextWithout)
      compare("Metaspace, a space before a text only where there is none", {" x"},
              [](TokenizerModel& model) { model.space_prefix = SpacePrefix::kParts; });
    if (model_.unknown_id && !model_.has_scores()) add_unknown();  // pieces have a place for it
    if (model_.has_scores() && !model_.merges.empty())
      compare("the order of merges, which tells two ways to one token apart (scores do not)", doubled_tokens(),
              [](TokenizerModel& model) { model.merges.clear(); });
  }

  std::vector<std::string> take() { return std::move(all_); }

 private:
  void add(const std::string& text) { all_.push_back(fmt::format("export: {}: {}", model_.origin, text)); }

  /// Adds `what` with the first of the texts that has other ids once `lose` has taken it away. One thing at a time, so
  /// that the example shows this one.
  template <class Lose>
  void compare(const std::string& what, const std::vector<std::string>& texts, const Lose& lose) {
    TokenizerModel less = model_;
    lose(less);
    if (!original_) original_.emplace(model_);
    const Tokenizer without(std::move(less));
    for (const std::string& text : texts) {
      const EncodeOptions plain{.add_special = false};
      const auto before = original_->encode(text, plain), after = without.encode(text, plain);
      if (before == after) continue;
      add(fmt::format("a GGUF file cannot hold {}; \"{}\" is {} with it and {} without", what, shorten(text),
                      ids_text(before), ids_text(after)));
      return;
    }
  }

  /// Texts in which tokens meet: each of pieces alone, and behind itself.
  std::vector<std::string> doubled_tokens() const {
    std::vector<std::string> texts;
    for (const std::string& token : model_.tokens) {
      const std::string text = with_spaces(token);
      texts.push_back(text);
      texts.push_back(text + text);
    }
    return texts;
  }

  void add_flag(const FlagLoss& loss) {
    std::vector<std::string> texts;
    const AddedToken* first = nullptr;
    for (const AddedToken& token : model_.added) {
      if (!(token.*loss.flag)) continue;
      if (first == nullptr) first = &token;
      texts.push_back(loss.before + token.content + loss.behind);
    }
    if (first == nullptr) return;
    const std::string more = texts.size() > 1 ? fmt::format(" and {} more", texts.size() - 1) : "";
    compare(fmt::format("{} of added token \"{}\"{}", loss.name, shorten(first->content), more), texts,
            [&](TokenizerModel& model) {
              for (AddedToken& token : model.added) token.*loss.flag = false;
            });
  }

  void add_unknown() {
    std::vector<std::string> texts;
    for (int byte = 0; byte < 256; ++byte)
      if (const std::string& spelled = byte_alphabet()[static_cast<size_t>(byte)];
          std::find(model_.tokens.begin(), model_.tokens.end(), spelled) == model_.tokens.end())
        if (std::string text = character_with(byte); !text.empty()) texts.push_back(std::move(text));
    if (!texts.empty())
      compare(fmt::format("\"{}\" for bytes without a token", token_text(*model_.unknown_id)), texts,
              [](TokenizerModel& model) { model.unknown_id.reset(); });
  }

  void add_ends() {
    for (const int32_t id : place_special_tokens(model_).without_a_role)
      add(fmt::format(
          "token {} (\"{}\") ends an answer too, for which a GGUF file has no key; llama.cpp may go on there", id,
          token_text(id)));
    if (model_.eos_id) return;
    const int32_t default_eos = model_.has_scores() ? 2 : 11;  // of llama.cpp
    const bool exists = std::cmp_less(default_eos, model_.tokens.size());
    add(
        fmt::format("no end of sequence is named; llama.cpp will take token {}{} for it; name one as eos_token in "
                    "tokenizer_config.json or as eos_token_id in generation_config.json",
                    default_eos, exists ? fmt::format(" (\"{}\")", token_text(default_eos)) : ""));
  }

  std::string token_text(int32_t id) const { return shorten(model_.tokens[static_cast<size_t>(id)]); }

  const TokenizerModel& model_;
  std::optional<Tokenizer> original_;
  std::vector<std::string> all_;
};

}  // namespace

std::vector<std::string> gguf_tokenizer_losses(const TokenizerModel& model) {
  Losses losses(model);
  losses.add_all();
  return losses.take();
}

}  // namespace vernier
