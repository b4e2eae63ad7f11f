#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "base/output_file.h"
#include "format/pretokenizer.h"
#include "format/tokenizer_text.h"
#include "support/expect_error.h"
#include "support/scratch.h"
#include "vernier/tokenizer.h"

namespace vernier {
namespace {

using testing::HasSubstr;

nlohmann::json sound() {
  return nlohmann::json::parse(R"({
    "added_tokens": [{"id": 3, "content": "<s>", "special": true}],
    "normalizer": {"type": "NFC"},
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
      {"type": "Split", "pattern": {"Regex": "\\s+"}, "behavior": "Isolated", "invert": false},
      {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]},
    "post_processor": {"type": "TemplateProcessing",
      "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
      "special_tokens": {"<s>": {"id": "<s>", "ids": [3], "tokens": ["<s>"]}}},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]}})");
}

struct TokenizerDefect {
  const char* name;
  const char* patch;  // a JSON patch on the sound file
  ErrorKind kind;
  const char* message;  // a part of it
};

constexpr ErrorKind kBad = ErrorKind::kBadFile;
constexpr ErrorKind kNot = ErrorKind::kUnsupported;
constexpr TokenizerDefect kTokenizerDefects[] = {
    {"NoModel", R"([{"op": "remove", "path": "/model"}])", kBad, "tokenizer.model is missing"},
    {"ModelIsAList", R"([{"op": "replace", "path": "/model", "value": []}])", kBad, "expected an object"},
    {"NoVocabulary", R"([{"op": "remove", "path": "/model/vocab"}])", kBad, "model.vocab is missing"},
    {"VocabularyIsAList", R"([{"op": "replace", "path": "/model/vocab", "value": ["a"]}])", kBad, "an object"},
    {"NoMerges", R"([{"op": "remove", "path": "/model/merges"}])", kBad, "model.merges is missing"},
    {"IdIsText", R"([{"op": "replace", "path": "/model/vocab/a", "value": "0"}])", kBad, "vocab[\"a\"]"},
    {"IdIsAFraction", R"([{"op": "replace", "path": "/model/vocab/a", "value": 0.5}])", kBad, "an integer id"},
    {"IdIsNegative", R"([{"op": "replace", "path": "/model/vocab/a", "value": -1}])", kBad, "got -1"},
    {"IdIsHuge", R"([{"op": "replace", "path": "/model/vocab/a", "value": 1099511627776}])", kBad, "1099511627776"},
    {"IdWraps", R"([{"op": "replace", "path": "/model/vocab/a", "value": 18446744073709551615}])", kBad, "1844674"},
    {"IdIsFarAway", R"([{"op": "replace", "path": "/model/vocab/a", "value": 70000}])", kBad, "70000"},
    {"IdTwice", R"([{"op": "replace", "path": "/model/vocab/a", "value": 1}])", kBad, "id 1 belongs to both"},
    {"AddedIdTwice", R"([{"op": "replace", "path": "/added_tokens/0/id", "value": 1}])", kBad, "belongs to both"},
    {"AddedIdDiffers", R"([{"op": "replace", "path": "/added_tokens/0/content", "value": "a"}])", kBad, "elsewhere"},
    {"AddedIdIsHuge", R"([{"op": "replace", "path": "/added_tokens/0/id", "value": 1099511627776}])", kBad, "[0, "},
    {"AddedWithoutId", R"([{"op": "remove", "path": "/added_tokens/0/id"}])", kBad, "added_tokens[0].id is missing"},
    {"AddedIsANumber", R"([{"op": "replace", "path": "/added_tokens/0", "value": 5}])", kBad, "added_tokens[0]"},
    {"AddedFlagIsText", R"([{"op": "add", "path": "/added_tokens/0/lstrip", "value": "no"}])", kBad, "true or false"},
    {"MergeOfUnknown", R"([{"op": "replace", "path": "/model/merges/0", "value": ["a", "x"]}])", kBad, "\"x\" is not"},
    {"MergeMakesUnknown", R"([{"op": "replace", "path": "/model/merges/0", "value": "b a"}])", kBad, "\"ba\" is not"},
    {"MergeOfOne", R"([{"op": "replace", "path": "/model/merges/0", "value": "ab"}])", kBad, "one space"},
    {"MergeOfThree", R"([{"op": "replace", "path": "/model/merges/0", "value": ["a", "b", "a"]}])", kBad, "merges[0]"},
    {"MergeOfNothing", R"([{"op": "replace", "path": "/model/merges/0", "value": ["", "a"]}])", kBad, "\"\" is not"},
    {"MergeIsANumber", R"([{"op": "replace", "path": "/model/merges/0", "value": 1}])", kBad, "merges[0]"},
    {"UnknownUnk", R"([{"op": "add", "path": "/model/unk_token", "value": "?"}])", kBad, "unk_token"},
    {"TemplateId", R"([{"op": "replace", "path": "/post_processor/special_tokens/<s>/ids/0", "value": 9}])", kBad,
     "got 9"},
    {"TemplateToken", R"([{"op": "remove", "path": "/post_processor/special_tokens/<s>"}])", kBad, "<s> is missing"},
    {"TemplateWithoutA", R"([{"op": "remove", "path": "/post_processor/single/1"}])", kBad, "itself is missing"},
    {"TemplateB", R"([{"op": "replace", "path": "/post_processor/single/1/Sequence/id", "value": "B"}])", kBad,
     "single"},
    {"BadBehavior", R"([{"op": "replace", "path": "/pre_tokenizer/pretokenizers/0/behavior", "value": "X"}])", kBad,
     "\"X\""},
    {"NoPattern", R"([{"op": "remove", "path": "/pre_tokenizer/pretokenizers/0/pattern/Regex"}])", kBad, "String"},
    {"OpenGroup", R"([{"op": "replace", "path": "/pre_tokenizer/pretokenizers/0/pattern/Regex", "value": "(a"}])", kBad,
     "does not compile"},
    {"OpenClass", R"([{"op": "replace", "path": "/pre_tokenizer/pretokenizers/0/pattern/Regex", "value": "[a"}])", kBad,
     "never closed"},
    {"HugeRepeat",
     R"([{"op": "replace", "path": "/pre_tokenizer/pretokenizers/0/pattern/Regex", "value": "((a{999}){999}){999}"}])",
     kBad, "does not compile"},
    {"Intersection",
     R"([{"op": "replace", "path": "/pre_tokenizer/pretokenizers/0/pattern/Regex", "value": "[a-z&&[aeiou]]"}])", kNot,
     "intersection"},
    {"Unigram", R"([{"op": "replace", "path": "/model/type", "value": "Unigram"}])", kNot, "found Unigram"},
    {"WordPiece", R"([{"op": "replace", "path": "/model/type", "value": "WordPiece"}])", kNot, "byte-level BPE"},
    {"Prefix", R"([{"op": "add", "path": "/model/continuing_subword_prefix", "value": "##"}])", kNot, "##"},
    {"Dropout", R"([{"op": "add", "path": "/model/dropout", "value": 0.1}])", kNot, "dropout"},
    {"ByteFallback", R"([{"op": "add", "path": "/model/byte_fallback", "value": true}])", kNot, "byte_fallback"},
    {"Accents", R"([{"op": "replace", "path": "/normalizer/type", "value": "StripAccents"}])", kNot,
     "found StripAccents"},
    {"NormalizerOrder",
     R"([{"op": "replace", "path": "/normalizer", "value": {"type": "Sequence", "normalizers": [{"type": "Lowercase"}, {"type": "NFC"}]}}])",
     kNot, "NFC behind a later one"},
    {"OtherReplace",
     R"([{"op": "replace", "path": "/normalizer", "value": {"type": "Replace", "pattern": {"Regex": "a"}, "content": " "}}])",
     kNot, "found Replace"},
    {"Metaspace", R"([{"op": "replace", "path": "/pre_tokenizer/pretokenizers/1/type", "value": "Metaspace"}])", kNot,
     "found Metaspace"},
    {"NoPreTokenizer", R"([{"op": "remove", "path": "/pre_tokenizer"}])", kNot, "no ByteLevel"},
    {"BehindByteLevel", R"([{"op": "add", "path": "/pre_tokenizer/pretokenizers/-", "value": {"type": "Digits"}}])",
     kNot, "behind ByteLevel"},
    {"PostProcessor", R"([{"op": "replace", "path": "/post_processor/type", "value": "Magic"}])", kNot, "found Magic"},
};

class BrokenTokenizer : public testing::TestWithParam<TokenizerDefect> {};
INSTANTIATE_TEST_SUITE_P(All, BrokenTokenizer, testing::ValuesIn(kTokenizerDefects),
                         [](const auto& info) { return std::string(info.param.name); });

/// Besides, the message is short, whatever the file holds.
template <class Call>
void expect_short_error(const Call& call, ErrorKind kind, const char* message) {
  expect_error(kind, {message}, [&] {
    try {
      call();
    } catch (const Error& e) {
      EXPECT_LT(std::string(e.what()).size(), 1000u);
      throw;
    }
  });
}

TEST_P(BrokenTokenizer, IsAClearError) {
  const std::string text = sound().patch(nlohmann::json::parse(GetParam().patch)).dump();
  expect_short_error([&] { Tokenizer(parse_tokenizer_json(text, "test.json")); }, GetParam().kind, GetParam().message);
}

TEST(HostileTokenizer, SoundFileIsSound) {
  EXPECT_EQ(Tokenizer(parse_tokenizer_json(sound().dump(), "test")).encode("ab ab").size(), 3u);
}

TEST(HostileTokenizer, EveryTruncationIsAnError) {
  const std::string text = sound().dump();
  for (size_t length = 0; length < text.size(); ++length)
    expect_short_error([&] { parse_tokenizer_json(text.substr(0, length), "test"); }, kBad, "test");
}

TEST(HostileTokenizer, EveryChangedByteIsAnErrorOrAModel) {
  const std::string text = sound().dump();
  int refused = 0, read = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    for (const char c : {'\0', '"', '{', ']', '9', '\x80'}) {
      std::string changed = text;
      changed[i] = c;
      try {
        Tokenizer(parse_tokenizer_json(changed, "test")).encode("ab <s> \u00E9");
        ++read;
      } catch (const Error&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 0);
  EXPECT_GT(read, 0);
}

TEST(HostileTokenizer, DeepNesting) {
  const auto parse = [](const std::string& text) { parse_tokenizer_json(text, "test"); };
  expect_short_error([&] { parse(std::string(1 << 20, '[')); }, kBad, "test");
  expect_short_error([&] { parse(std::string(100'000, '[') + std::string(100'000, ']')); }, kBad, "deeper");
  expect_short_error([&] { parse("[]"); }, kBad, "object");
  expect_short_error([&] { parse("{\"a\": \"\xFF\"}"); }, kBad, "JSON");
}

TEST(HostileTokenizer, TemplatesDoNotMultiply) {
  nlohmann::json json = sound();
  nlohmann::json& step = json["post_processor"];
  step["special_tokens"]["<s>"]["ids"] = std::vector<int>(1000, 3);
  EXPECT_EQ(parse_tokenizer_json(json.dump(), "test").prefix_ids.size(), 1000U);
  for (int i = 0; i < 4; ++i) step["single"].push_back(step["single"][0]);
  expect_short_error([&] { parse_tokenizer_json(json.dump(), "test"); }, kBad, "around a text");
}

TEST(HostileTokenizer, RunawayExpressionsGiveUp) {
  // Each backtracks exponentially, recurses without end, or piles up frames.
  for (const char* pattern : {"(a+)+$", "(a|aa)+c", "(?:a?){60}a{60}c", "(a(?1)?)*b", "(.*)*x(?<!x)"}) {
    TokenizerModel model;
    model.tokens = {"a"};
    model.pre_tokenizer.splits = {{pattern}};
    const Tokenizer tokenizer(model);
    expect_short_error([&] { tokenizer.encode(std::string(5000, 'a') + "!xbc"); }, kBad, pattern);
  }
}

TEST(HostileTokenizer, ExpressionsThatAreSlowEverywhereGiveUp) {
  // Each match is bounded and there are as many as bytes: some 4,000 steps at every letter.
  TokenizerModel model;
  model.tokens = {"a"};
  model.pre_tokenizer.splits = {{"(?=(?:(?:a|a)?){11}b|)a"}};
  const Tokenizer tokenizer(model);
  expect_short_error([&] { tokenizer.encode(std::string(200'000, 'a')); }, kBad, "gave up on a text of 200000 bytes");
}

TEST(HostileTokenizer, LongWordsAndBlanksAreNoRunaways) {
  const PreTokenizer splitter({.use_gpt2_split = true}, "test");
  PreTokenizer::Scratch scratch(splitter);
  const std::string blanks(1 << 20, ' '), word(1 << 20, 'x');
  std::vector<size_t> sizes;
  splitter.split(blanks + word + blanks + "x", scratch, [&](std::string_view part) { sizes.push_back(part.size()); });
  EXPECT_THAT(sizes, ::testing::ElementsAre(blanks.size() - 1, word.size() + 1, blanks.size() - 1, 2));
}

TEST(HostileTokenizer, ModelsInMemoryAreCheckedToo) {
  TokenizerModel model;
  model.tokens = {"a"};
  const auto expect = [&](const std::function<void(TokenizerModel&)>& change, const char* message) {
    TokenizerModel broken = model;
    change(broken);
    expect_short_error([&] { Tokenizer{broken}; }, kBad, message);
  };
  expect([](TokenizerModel& m) { m.merges = {{"a", "a"}}; }, "\"aa\" is not");
  expect([](TokenizerModel& m) { m.prefix_ids = {1}; }, "template id 1");
  expect([](TokenizerModel& m) { m.suffix_ids = {-1}; }, "template id -1");
  expect([](TokenizerModel& m) { m.bos_id = 5; }, "BOS id 5");
  expect([](TokenizerModel& m) { m.unknown_id = 5; }, "unknown token id 5");
  expect([](TokenizerModel& m) { m.added = {{.id = 7, .content = "x"}}; }, "added token id 7");
  expect([](TokenizerModel& m) { m.pre_tokenizer.splits.assign(65, {"a"}); }, "65");
  expect([](TokenizerModel& m) { m.pre_tokenizer.splits = {{std::string(100'000, 'a')}}; }, "100000 bytes");
}

TEST(HostileTokenizer, BrokenConfigs) {
  TokenizerModel model = parse_tokenizer_json(sound().dump(), "test");
  for (const char* config :
       {"", "[]", R"({"bos_token": 5})", R"({"bos_token": {"x": 1}})", R"({"add_bos_token": "yes"})",
        R"({"chat_template": 5})", R"({"chat_template": [{"name": "default"}]})"})
    expect_short_error([&] { merge_tokenizer_config(model, config, "config.json"); }, kBad, "config.json");
}

TEST(HostileTokenizer, FoldersWithoutTokenizer) {
  const std::filesystem::path folder = scratch_path("vernier_no_tokenizer");
  std::filesystem::remove_all(folder);
  expect_short_error([&] { load_tokenizer_model(folder); }, ErrorKind::kIo, "tokenizer.json");
  write_file(folder / "tokenizer.model", "x");
  expect_short_error([&] { load_tokenizer_model(folder); }, kNot, "SentencePiece");
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace vernier
