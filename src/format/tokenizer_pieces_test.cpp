#include "format/tokenizer_pieces.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <random>

#include "base/json.h"
#include "base/utf8.h"
#include "format/format_test_util.h"
#include "format/gguf_tokenizer.h"
#include "format/gguf_writer.h"
#include "format/tokenizer_difference.h"
#include "support/expect_error.h"

namespace vernier {
namespace {

using ::testing::ElementsAre;

/// Like Llama 2's: unknown, beginning and end, all bytes, then pieces from the best score to the worst.
TokenizerModel made_up_pieces() {
  TokenizerModel model;
  model.origin = "pieces";
  const auto add = [&](const std::string& token, float score) {
    model.tokens.push_back(token);
    model.scores.push_back(score);
  };
  for (const char* token : {"<unk>", "<s>", "</s>"}) {
    model.added.push_back({.id = static_cast<int32_t>(model.tokens.size()), .content = token, .special = true});
    add(token, 0);
  }
  for (int byte = 0; byte < 256; ++byte) add(fmt::format("<0x{:02X}>", byte), 0);
  float score = 0;
  for (const char* piece :
       {"he", "ll", "▁he", "llo", "▁hello", "lo", "▁t", "é", "▁", "h", "e", "l", "o", "t", "ää", "ä"})
    add(piece, --score);
  model.unknown_id = 0;
  model.bos_id = 1;
  model.eos_id = 2;
  model.bos_token = "<s>";
  model.eos_token = "</s>";
  model.special_ids = {{"unknown", 0}};
  model.prefix_ids = {1};
  model.space_prefix = SpacePrefix::kParts;
  return model;
}

constexpr EncodeOptions kPlain{.add_special = false};

class Pieces : public FormatTest {
 protected:
  GgufFile written(const GgufWriter& writer) const {
    const auto path = folder_ / "pieces.gguf";
    std::filesystem::remove(path);
    writer.write(path, [](size_t, const ByteSink&) {});
    return GgufFile(path);
  }
  /// `without`: ends of keys that are left out.
  GgufFile written(const TokenizerModel& model, int64_t vocabulary,
                   const std::vector<std::string>& without = {}) const {
    GgufWriter writer, less;
    add_tokenizer(writer, model, vocabulary, "");
    GgufFile whole = written(writer);
    if (without.empty()) return whole;
    for (const GgufKeyValue& entry : whole.values())
      if (std::ranges::none_of(without, [&](const std::string& end) { return entry.key.ends_with(end); }))
        less.set(entry.key, entry.value);
    return written(less);
  }
  std::vector<std::string> tokens_of(const std::string& text, const EncodeOptions& options = kPlain) const {
    std::vector<std::string> tokens;
    for (const int32_t id : Tokenizer(model_).encode(text, options))
      tokens.push_back(model_.tokens[static_cast<size_t>(id)]);
    return tokens;
  }
  TokenizerModel model_ = made_up_pieces();
};

TEST_F(Pieces, TheBestScoreIsJoinedFirst) {
  EXPECT_THAT(tokens_of("hello"), ElementsAre("▁hello"));
  model_.space_prefix = SpacePrefix::kNone;
  // "ll" before "lo", so that "l" + "lo" never comes about.
  EXPECT_THAT(tokens_of("hello"), ElementsAre("he", "llo"));
  EXPECT_THAT(tokens_of("hello  hello"), ElementsAre("he", "llo", "▁", "▁hello"));
  EXPECT_THAT(tokens_of("ääää"), ElementsAre("ää", "ää"));
  EXPECT_THAT(tokens_of("äää"), ElementsAre("ää", "ä")) << "of equal scores the leftmost";
  EXPECT_THAT(tokens_of(""), ElementsAre());
}

TEST_F(Pieces, CharactersWithoutATokenAreBytes) {
  EXPECT_THAT(tokens_of("né\n"), ElementsAre("▁", "<0x6E>", "é", "<0x0A>"));
  EXPECT_THAT(tokens_of("日"), ElementsAre("▁", "<0xE6>", "<0x97>", "<0xA5>"));
  model_.tokens[3 + 0x0a] = "lines";
  EXPECT_THAT(tokens_of("t\n"), ElementsAre("▁t", "<unk>"));
}

TEST_F(Pieces, ASpaceStandsBeforeATextAndBehindAddedTokens) {
  EXPECT_THAT(tokens_of("hello</s>hello t", {}), ElementsAre("<s>", "▁hello", "</s>", "▁hello", "▁t"));
  EXPECT_THAT(tokens_of("t<s>", {.add_special = false, .parse_special = false}),
              ElementsAre("▁t", "<0x3C>", "<0x73>", "<0x3E>"));
  const Tokenizer tokenizer(model_);
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("hello</s>hello t")), "<s> hello</s> hello t");
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(" hello", kPlain)), " hello");
}

/// What the definition says, pair by pair.
std::vector<std::string> joined_by_definition(const TokenizerModel& model, const std::string& text) {
  std::vector<std::string> parts;
  for (size_t at = 0; at < text.size();) {
    const size_t length = utf8_at(text, at).length;
    parts.push_back(text.substr(at, length) == " " ? "▁" : text.substr(at, length));
    at += length;
  }
  while (true) {
    size_t best = parts.size();
    float score = -1e9f;
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto found = std::find(model.tokens.begin(), model.tokens.end(), parts[i] + parts[i + 1]);
      if (found == model.tokens.end()) continue;
      const float own = model.scores[static_cast<size_t>(found - model.tokens.begin())];
      if (own > score) {
        best = i;
        score = own;
      }
    }
    if (best == parts.size()) return parts;
    parts[best] += parts[best + 1];
    parts.erase(parts.begin() + static_cast<ptrdiff_t>(best) + 1);
  }
}

TEST_F(Pieces, AnyTextIsJoinedAsTheDefinitionSaysAndComesBack) {
  model_.space_prefix = SpacePrefix::kNone;
  const char* const characters[] = {"h", "e", "l", "l", "o", " ", "t", "ä", "é", "日", "\n"};
  std::mt19937 random(4);
  for (int round = 0; round < 200; ++round) {
    std::string text;
    for (uint32_t i = random() % 40; i > 0; --i) text += characters[random() % std::size(characters)];
    std::vector<std::string> expected;
    for (const std::string& part : joined_by_definition(model_, text))
      if (std::find(model_.tokens.begin(), model_.tokens.end(), part) != model_.tokens.end())
        expected.push_back(part);
      else
        for (const char c : part) expected.push_back(fmt::format("<0x{:02X}>", static_cast<unsigned char>(c)));
    ASSERT_EQ(tokens_of(text), expected) << text;
    for (const SpacePrefix prefix : {SpacePrefix::kNone, SpacePrefix::kParts}) {
      TokenizerModel model = model_;
      model.space_prefix = prefix;
      const Tokenizer tokenizer(model);
      EXPECT_EQ(tokenizer.decode(tokenizer.encode(text, kPlain)), text);
    }
  }
}

TEST_F(Pieces, AGgufFileHoldsThem) {
  const auto size = static_cast<int64_t>(model_.tokens.size());
  TokenizerModel read = read_tokenizer(written(model_, size));
  EXPECT_FALSE(compare_tokenizers(Tokenizer(model_), Tokenizer(read)));
  EXPECT_EQ(read.unknown_id, 0);
  EXPECT_TRUE(read.warnings.empty());
  EXPECT_TRUE(gguf_tokenizer_losses(read).empty());
  EXPECT_EQ(gguf_pre_name(read), "default");
  read = read_tokenizer(written(model_, size + 3));
  EXPECT_EQ(read.scores.size(), static_cast<size_t>(size + 3));

  model_.scores[260] -= 1;
  const auto difference = compare_tokenizers(Tokenizer(made_up_pieces()), Tokenizer(model_));
  ASSERT_TRUE(difference);
  EXPECT_EQ(difference->part, "score of token 260");
  expect_error(ErrorKind::kInvalidArgument, {"llama-bpe", "pieces"}, [&] { check_gguf_pre_name(model_, "llama-bpe"); });
}

TEST_F(Pieces, WhatAFileDoesNotSayIsAsLlamaCppHasIt) {
  const TokenizerModel read = read_tokenizer(
      written(model_, static_cast<int64_t>(model_.tokens.size()),
              {"add_bos_token", "add_space_prefix", "bos_token_id", "eos_token_id", "unknown_token_id"}));
  EXPECT_FALSE(compare_tokenizers(Tokenizer(model_), Tokenizer(read)));
  EXPECT_EQ(read.eos_id, 2);
}

TEST_F(Pieces, OfPhi3ControlTokensTakeTheSpaceBehindThemAlong) {
  GgufWriter writer;
  writer.set("general.name", std::string("A Phi-3 of ours"));
  add_tokenizer(writer, model_, static_cast<int64_t>(model_.tokens.size()), "");
  model_ = read_tokenizer(written(writer));
  EXPECT_THAT(tokens_of("t</s>  hello<s> t"), ElementsAre("▁t", "</s>", "▁hello", "<s>", "▁", "▁t"));
  EXPECT_TRUE(gguf_tokenizer_losses(model_).empty());
}

TEST_F(Pieces, MergesRankTheWaysToATokenApart) {
  const auto spelled = [&](const std::vector<std::string>& tokens) {
    model_.tokens.resize(259);
    for (const std::string& token : tokens) model_.tokens.push_back(token);
    model_.scores.assign(model_.tokens.size(), -1);
    model_.space_prefix = SpacePrefix::kNone;
    return tokens_of("aaaa");
  };
  EXPECT_THAT(spelled({"a", "aa", "aaa"}), ElementsAre("aaa", "a")) << "of equal scores the leftmost";
  model_.merges = {{"a", "a"}, {"aa", "a"}};
  EXPECT_THAT(spelled({"a", "aa", "aaa"}), ElementsAre("aa", "aa")) << "every first merge comes before any second";
  model_.merges = {{"a", "a"}};
  EXPECT_THAT(spelled({"a", "aa", "aaaa"}), ElementsAre("aa", "aa")) << "no merge makes the last one";
  model_.merges = {{"a", "a"}, {"aa", "aa"}};
  EXPECT_THAT(spelled({"a", "aa", "aaaa"}), ElementsAre("aaaa"));
  model_.merges = {{"a", "b"}};
  expect_error(ErrorKind::kBadFile, {"merge 0", "\"b\""}, [&] { spelled({"a", "aa"}); });
}

TEST_F(Pieces, AFileCannotHoldTheOrderOfMerges) {
  model_.tokens.resize(259);
  for (const char* token : {"a", "aa", "aaa"}) model_.tokens.emplace_back(token);
  model_.scores.assign(model_.tokens.size(), -1);
  model_.space_prefix = SpacePrefix::kNone;
  EXPECT_TRUE(gguf_tokenizer_losses(model_).empty());
  model_.merges = {{"a", "a"}, {"aa", "a"}};
  EXPECT_THAT(gguf_tokenizer_losses(model_), ElementsAre(::testing::AllOf(::testing::HasSubstr("order of merges"),
                                                                          ::testing::HasSubstr("\"aaaa\" is"))));
  model_.tokens.pop_back();
  model_.scores.pop_back();
  model_.merges = {{"a", "a"}};  // there is one way to "aa"
  EXPECT_TRUE(gguf_tokenizer_losses(model_).empty());
}

TEST(PiecesOfJson, WhatIsNotKnownOfThemIsRefused) {
  const std::string folder = std::string(VERNIER_SOURCE_DIR) + "/tests/fixtures/tokenizers/pieces";
  const Json sound = read_json(folder + "/tokenizer.json");
  const auto refused = [&](ErrorKind kind, const std::string& pointer, const Json& value, const char* message) {
    Json patched = sound;
    patched[Json::json_pointer(pointer)] = value;
    expect_error(kind, {message}, [&] { Tokenizer(parse_tokenizer_json(patched.dump(), "patched")); });
  };
  const ErrorKind unsupported = ErrorKind::kUnsupported, bad = ErrorKind::kBadFile;
  refused(unsupported, "/model/byte_fallback", false, "fall back to bytes");
  refused(unsupported, "/model/ignore_merges", true, "ignore_merges");
  refused(unsupported, "/normalizer/normalizers/0/prepend", "_", "Prepend");
  refused(unsupported, "/normalizer/normalizers/0", {{"type", "NFC"}}, "NFC");
  refused(unsupported, "/pre_tokenizer", {{"type", "Whitespace"}}, "Whitespace");
  refused(bad, "/model/merges/0", Json::array({"e", "no token"}), "not in the vocabulary");
  Json fewer = sound;
  fewer["model"]["vocab"].erase("<0x41>");
  expect_error(unsupported, {"<0x41>"}, [&] { parse_tokenizer_json(fewer.dump(), "fewer"); });
  Json split = sound;
  split["pre_tokenizer"] = {{"type", "Split"}, {"pattern", {{"String", " "}}}, {"behavior", "MergedWithPrevious"}};
  EXPECT_EQ(Tokenizer(parse_tokenizer_json(split.dump(), "split")).encode("it is  so"),
            Tokenizer(parse_tokenizer_json(sound.dump(), "sound")).encode("it is  so"));
}

TEST_F(Pieces, MetaspacePutsASpaceWhereThereIsNone) {
  model_.space_prefix = SpacePrefix::kPartsWithout;
  EXPECT_THAT(tokens_of("hello</s>hello"), ElementsAre("▁hello", "</s>", "▁hello"));
  EXPECT_THAT(tokens_of(" hello</s> t"), ElementsAre("▁hello", "</s>", "▁t"));
  EXPECT_THAT(tokens_of("▁hello"), ElementsAre("▁hello"));
  EXPECT_THAT(gguf_tokenizer_losses(model_), ElementsAre(::testing::HasSubstr("Metaspace")));
  model_.space_prefix = SpacePrefix::kTextWithout;
  EXPECT_THAT(tokens_of("hello</s>hello"), ElementsAre("▁hello", "</s>", "he", "llo"));
  EXPECT_THAT(tokens_of("</s>hello"), ElementsAre("</s>", "he", "llo")) << "the text begins with a token";
  EXPECT_THAT(tokens_of("hello", {}), ElementsAre("<s>", "▁hello")) << "that is put before the text";
  EXPECT_THAT(gguf_tokenizer_losses(model_), ElementsAre(::testing::HasSubstr("Metaspace")));
  // Engines that read the file put one there in any case: the same vocabulary, so the two can be compared.
  const TokenizerModel read = read_tokenizer(written(model_, static_cast<int64_t>(model_.tokens.size())));
  EXPECT_EQ(read.space_prefix, SpacePrefix::kParts);
  EXPECT_FALSE(compare_tokenizers(Tokenizer(model_), Tokenizer(read)));
}

TEST(PiecesOfJson, MetaspaceIsAsHuggingFaceHasIt) {
  const std::string folder = std::string(VERNIER_SOURCE_DIR) + "/tests/fixtures/tokenizers/pieces";
  Json json = read_json(folder + "/tokenizer.json");
  json["normalizer"] = nullptr;
  const Json golden = read_json(folder + "/golden_metaspace.json");
  for (const auto& [scheme, texts] : golden.items()) {
    json["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", scheme}, {"split", false}};
    const Tokenizer tokenizer(parse_tokenizer_json(json.dump(), scheme));
    ASSERT_GT(texts.size(), 30U);
    for (const Json& text : texts)
      EXPECT_EQ(tokenizer.encode(text["text"].get<std::string>()), text["ids"].get<std::vector<int32_t>>())
          << scheme << ": " << text["text"];
  }
  Json& step = json["pre_tokenizer"];
  step = {{"type", "Metaspace"}, {"replacement", "▁"}, {"add_prefix_space", false}, {"split", false}};
  EXPECT_EQ(parse_tokenizer_json(json.dump(), "old").space_prefix, SpacePrefix::kNone);
  step["add_prefix_space"] = true;
  EXPECT_EQ(parse_tokenizer_json(json.dump(), "old").space_prefix, SpacePrefix::kPartsWithout);
  const auto refused = [&](ErrorKind kind, const char* key, const Json& value, const char* message) {
    Json patched = json;
    patched["pre_tokenizer"][key] = value;
    expect_error(kind, {message}, [&] { parse_tokenizer_json(patched.dump(), "patched"); });
  };
  refused(ErrorKind::kUnsupported, "split", true, "split");
  refused(ErrorKind::kUnsupported, "replacement", "_", "replacement");
  refused(ErrorKind::kBadFile, "prepend_scheme", "sometimes", "sometimes");
}

TEST_F(Pieces, BrokenOnesAreRefused) {
  expect_error(ErrorKind::kBadFile, {"token_type"},
               [&] { read_tokenizer(written(model_, static_cast<int64_t>(model_.tokens.size()), {"token_type"})); });
  expect_error(ErrorKind::kBadFile, {"score of token 7", "not a number"}, [&] {
    model_.scores[7] = NAN;
    Tokenizer{model_};
  });
  expect_error(ErrorKind::kBadFile, {"1 scores", fmt::format("{} tokens", model_.tokens.size())}, [&] {
    model_.scores = {1};
    Tokenizer{model_};
  });
}

}  // namespace
}  // namespace vernier
