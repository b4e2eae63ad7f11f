#include "vernier/tokenizer.h"

#include <gmock/gmock.h>

#include <random>

#include "base/json.h"
#include "base/output_file.h"
#include "format/gguf_file.h"
#include "format/gguf_tokenizer.h"
#include "format/gguf_writer.h"
#include "format/pretokenizer.h"
#include "format/pretokenizer_syntax.h"
#include "format/tokenizer_text.h"
#include "support/byte_model.h"
#include "support/expect_error.h"
#include "support/processor_time.h"
#include "support/scratch.h"

namespace vernier {
namespace {

using testing::ElementsAre;
using Ids = std::vector<int32_t>;
using Words = std::vector<std::string>;

const std::filesystem::path kFixtures = std::filesystem::path(VERNIER_SOURCE_DIR) / "tests/fixtures/tokenizers";

Words split(const PreTokenizerRules& rules, std::string_view text) {
  const PreTokenizer splitter(rules, "test");
  PreTokenizer::Scratch scratch(splitter);
  Words words;
  splitter.split(text, scratch, [&](std::string_view word) { words.emplace_back(word); });
  return words;
}

class TokenizerFixture : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(All, TokenizerFixture, testing::Values("gpt2", "llama3", "qwen2", "pieces"));

TEST_P(TokenizerFixture, AgreesWithHuggingFace) {
  const Tokenizer tokenizer(load_tokenizer_model(kFixtures / GetParam()));
  const Json golden = read_json(kFixtures / GetParam() / "golden.json");
  ASSERT_GT(golden.size(), 25u);
  for (const Json& example : golden) {
    const auto text = example["text"].get<std::string>();
    const auto plain = tokenizer.encode(text, {.add_special = false});
    EXPECT_EQ(tokenizer.encode(text), example["ids"].get<Ids>()) << text;
    EXPECT_EQ(plain, example["ids_no_special"].get<Ids>()) << text;
    EXPECT_EQ(tokenizer.decode(plain), example["decoded"].get<std::string>()) << text;
  }
}

// Hugging Face, without a decoder in the file, joins CLIP's tokens as they are stored; read back they are the words.
TEST(ClipTokenizer, AgreesWithHuggingFace) {
  const Tokenizer clip(load_tokenizer_model(kFixtures / "clip"));
  const Json golden = read_json(kFixtures / "clip/golden.json");
  ASSERT_GT(golden.size(), 25u);
  for (const Json& example : golden) {
    const auto text = example["text"].get<std::string>();
    EXPECT_EQ(clip.encode(text), example["ids"].get<Ids>()) << text;
    const Ids plain = clip.encode(text, {.add_special = false});
    EXPECT_EQ(plain, example["ids_no_special"].get<Ids>()) << text;
    std::string stored;
    for (const int32_t id : plain) stored += (stored.empty() ? "" : " ") + clip.model().tokens[static_cast<size_t>(id)];
    EXPECT_EQ(stored, example["decoded"].get<std::string>()) << text;
  }
  EXPECT_EQ(clip.decode(clip.encode("A  photo\n of a CAT.", {.add_special = false})), "a photo of a cat .");
  EXPECT_EQ(clip.bos_id(), 0);
  EXPECT_EQ(clip.eos_id(), 1);
  EXPECT_TRUE(clip.adds_bos() && clip.model().adds_eos());
}

TEST(ClipTokenizer, EndsOfWords) {
  TokenizerModel model = byte_model();
  model.word_end = "</w>";
  for (const char* token : {"a</w>", "b</w>"}) model.tokens.push_back(token);  // 256, 257
  add_merge(model, "a", "b</w>");                                              // 258
  model.pre_tokenizer.splits = {{" ", SplitBehavior::kRemoved}};
  const Tokenizer tokenizer(model);
  const int32_t a = tokenizer.encode("aa", {})[0];
  EXPECT_THAT(tokenizer.encode("ab a aa b"), ElementsAre(258, 256, a, 256, 257));
  EXPECT_EQ(tokenizer.decode(Ids{258, 256, a, 256, 257}), "ab a aa b");
  EXPECT_THAT(tokenizer.encode("ac"), ElementsAre(a)) << "a last byte without a token is dropped, as others are";
}

TEST(ClipTokenizer, LowerCaseAndSingleSpaces) {
  EXPECT_EQ(to_lower("ABC \u00C4\u03A9 \u0130 \u1E9E x"), "abc \u00E4\u03C9 i\u0307 \u00DF x");
  EXPECT_EQ(with_single_spaces("\t a \u00A0\u3000b\n"), " a b ");
  TokenizerModel model = byte_model();
  model.one_space = model.lowercase = true;
  EXPECT_EQ(Tokenizer(model).decode(Tokenizer(model).encode("A \n B")), "a b");
}

TEST_P(TokenizerFixture, DecodingUndoesEncoding) {
  TokenizerModel model = load_tokenizer_model(kFixtures / GetParam());
  model.nfc = false;
  const Tokenizer tokenizer(std::move(model));
  constexpr unsigned kSeed = 7;
  std::mt19937 random(kSeed);
  constexpr char32_t kStarts[] = {0x20, 0x20, 0x80, 0x300, 0x900, 0x2000, 0x4E00, 0xAC00, 0x1F600, 0x10FFFF - 64};
  for (int round = 0; round < 300; ++round) {
    std::string text = random() % 8 == 0 ? "<|endoftext|>" : "";
    for (unsigned length = random() % 60; length > 0; --length) {
      char32_t code = kStarts[random() % std::size(kStarts)] + random() % 64;
      if (random() % 8 == 0) code = U"\n\r\t \0'sS19"[random() % 10];
      if (code < 0x80) {
        text += static_cast<char>(code);
      } else {
        const int first = code < 0x800 ? 6 : code < 0x10000 ? 12 : 18;
        text += static_cast<char>(0xF0 << (3 - first / 6) | code >> first);
        for (int shift = first - 6; shift >= 0; shift -= 6) text += static_cast<char>(0x80 | (code >> shift & 63));
      }
    }
    ASSERT_EQ(valid_utf8_prefix(text), text.size()) << "the test's own encoder; seed " << kSeed;
    for (const bool parse : {true, false})
      ASSERT_EQ(tokenizer.decode(tokenizer.encode(text, {.add_special = false, .parse_special = parse})), text)
          << "seed " << kSeed << ", round " << round;
  }
}

TEST(Tokenizer, AppliesTheBestMergeFirst) {
  TokenizerModel model = byte_model();
  add_merge(model, "b", "c");   // 256
  add_merge(model, "a", "b");   // 257
  add_merge(model, "bc", "d");  // 258
  add_merge(model, "a", "a");   // 259
  const Tokenizer tokenizer(model);
  const Ids bytes = tokenizer.encode("az");
  EXPECT_THAT(tokenizer.encode("abcd"), ElementsAre(bytes[0], 258));
  EXPECT_THAT(tokenizer.encode("ab"), ElementsAre(257));
  EXPECT_THAT(tokenizer.encode("aaaaa"), ElementsAre(259, 259, bytes[0]));  // leftmost first
  EXPECT_TRUE(tokenizer.encode("").empty());
}

TEST(Tokenizer, IgnoreMergesTakesWholeWords) {
  TokenizerModel model = byte_model();
  model.tokens.push_back("cat");  // no merge leads there
  EXPECT_EQ(Tokenizer(model).encode("cat").size(), 3u);
  model.ignore_merges = true;
  EXPECT_THAT(Tokenizer(model).encode("cat"), ElementsAre(256));
}

TEST(Tokenizer, BytesWithoutTokenAreUnknownOrDropped) {
  TokenizerModel model;
  model.tokens = {"a", "<unk>"};
  EXPECT_THAT(Tokenizer(model).encode("axxa"), ElementsAre(0, 0));
  model.unknown_id = 1;
  EXPECT_THAT(Tokenizer(model).encode("axxa"), ElementsAre(0, 1, 1, 0));
  model.fuse_unknown = true;
  EXPECT_THAT(Tokenizer(model).encode("axxa"), ElementsAre(0, 1, 0));
}

TEST(Tokenizer, FindsAddedTokensLongestFirst) {
  TokenizerModel model = byte_model();
  add_token(model, {.content = "<x>", .special = true});           // 256
  add_token(model, {.content = "<x><y>"});                         // 257
  add_token(model, {.content = "<m>", .lstrip = true});            // 258
  add_token(model, {.content = "<r>", .rstrip = true});            // 259
  add_token(model, {.content = "am", .single_word = true});        // 260
  add_token(model, {.content = "caf\u00E9", .normalized = true});  // 261
  model.nfc = true;
  const Tokenizer tokenizer(model);
  const int32_t space = tokenizer.encode(" ")[0], s = tokenizer.encode("s")[0];
  EXPECT_THAT(tokenizer.encode("<x><y><x>"), ElementsAre(257, 256));
  EXPECT_THAT(tokenizer.encode(" \u3000<m> s"), ElementsAre(258, space, s));
  EXPECT_THAT(tokenizer.encode(" <r> \n s"), ElementsAre(space, 259, s));
  EXPECT_THAT(tokenizer.encode("am"), ElementsAre(260));
  EXPECT_THAT(tokenizer.encode(" am "), ElementsAre(space, 260, space));
  EXPECT_EQ(tokenizer.encode("ams").size(), 3u);
  EXPECT_EQ(tokenizer.encode("\u00E9am").size(), 4u);
  EXPECT_THAT(tokenizer.encode("cafe\u0301"), ElementsAre(261));

  const EncodeOptions plain{.parse_special = false};
  EXPECT_EQ(tokenizer.encode("<x>", plain).size(), 3u);
  EXPECT_THAT(tokenizer.encode("<x><y>", plain), ElementsAre(257)) << "it is not special";
  EXPECT_EQ(tokenizer.decode(Ids{261, 256}), "caf\u00E9<x>");
}

TEST(Tokenizer, NormalizesToFormC) {
  TokenizerModel model = byte_model();
  model.nfc = true;
  const Tokenizer tokenizer(model);
  const std::string text("e\u0301 \u212B\0x", 9), form_c("\u00E9 \u00C5\0x", 7);
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), form_c);
}

TEST(Tokenizer, PutsTheTemplateAround) {
  TokenizerModel model = byte_model();
  model.prefix_ids = {1};
  model.suffix_ids = {2};
  model.bos_id = 1;
  const Tokenizer tokenizer(model);
  EXPECT_TRUE(tokenizer.adds_bos());
  EXPECT_THAT(tokenizer.encode(""), ElementsAre(1, 2));
  EXPECT_THAT(tokenizer.encode("", {.add_special = false}), ElementsAre());
}

TEST(Tokenizer, RepairsInvalidUtf8AsPythonDoes) {
  const std::pair<std::string, std::string> cases[] = {
      {"a\xFFz", "a\uFFFDz"},
      {"\xC0\xAF", "\uFFFD\uFFFD"},
      {"\xE2\x82", "\uFFFD"},
      {"\xE2\x28\xA1", "\uFFFD(\uFFFD"},
      {"\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD"},
      {"\xF0\x9F\x98", "\uFFFD"},
      {"\xF0\x9F\x98\xF0\x9F\x98\x80", "\uFFFD\U0001F600"},
      {"\xF4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"},
      {"12345678\x80", "12345678\uFFFD"},
  };
  const Tokenizer tokenizer(byte_model());
  for (const auto& [broken, repaired] : cases) {
    EXPECT_EQ(replace_invalid_utf8(broken), repaired);
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(broken)), repaired);
  }
  const Ids half{tokenizer.encode("\u00E9")[0]};
  EXPECT_EQ(tokenizer.decode(half), "\uFFFD");
}

TEST(Tokenizer, DecodesGapsToNothingAndRefusesForeignIds) {
  TokenizerModel model;
  model.tokens = {"a", "", "b c"};
  const Tokenizer tokenizer(model);
  EXPECT_EQ(tokenizer.vocab_size(), 3);
  EXPECT_EQ(tokenizer.decode(Ids{0, 1, 2}), "ab c");
  for (const int32_t id : {3, -1})
    expect_error(ErrorKind::kInvalidArgument, {"id " + std::to_string(id) + " is outside the vocabulary of 3 tokens"},
                 [&] { tokenizer.decode(Ids{id}); });
}

TEST(Tokenizer, LongRunsTakeNoQuadraticTime) {
  TokenizerModel model = load_tokenizer_model(kFixtures / "llama3");
  for (std::string run = "a"; run.size() < 64; run += run) add_merge(model, run, run);
  const Tokenizer tokenizer(model);
  const double start = processor_seconds();
  for (const char* piece : {"a", " ", "\n", "1", "!", "\u4E2D", "\u0301", "<|"}) {
    std::string text;
    while (text.size() < 100'000) text += piece;
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text, {.add_special = false})), text);
  }
  // Measured: 0.1 s optimised, under 2 s with sanitizers. Quadratic merging alone would take minutes.
  EXPECT_LT(processor_seconds() - start, 40);
}

TEST(PreTokenizer, BehavioursAreThoseOfHuggingFace) {
  const std::string text = "the-final--countdown";
  const std::pair<SplitBehavior, Words> cases[] = {
      {SplitBehavior::kRemoved, {"the", "final", "countdown"}},
      {SplitBehavior::kIsolated, {"the", "-", "final", "-", "-", "countdown"}},
      {SplitBehavior::kMergedWithPrevious, {"the-", "final-", "-", "countdown"}},
      {SplitBehavior::kMergedWithNext, {"the", "-final", "-", "-countdown"}},
      {SplitBehavior::kContiguous, {"the", "-", "final", "--", "countdown"}},
  };
  for (const auto& [behavior, words] : cases) EXPECT_EQ(split({.splits = {{"-", behavior}}}, text), words);
  EXPECT_EQ(split({.splits = {{"-", SplitBehavior::kRemoved, true}}}, text), (Words{"-", "-", "-"}));
  // Matches of no width cut and are no words.
  EXPECT_EQ(split({.splits = {{R"((?=(\d{3})+(?!\d)))"}}}, "1234567"), (Words{"1", "234", "567"}));
}

TEST(PreTokenizer, AppliesRulesInOrderAndPrefixesPieces) {
  EXPECT_EQ(split({.splits = {{R"(\p{N})"}}, .use_gpt2_split = true}, "it's 42"), (Words{"it", "'s", " ", "4", "2"}));
  EXPECT_EQ(split({.add_prefix_space = true, .use_gpt2_split = true}, "Hey you"), (Words{" Hey", " you"}));
  EXPECT_EQ(split({.splits = {{"-", SplitBehavior::kRemoved}}, .add_prefix_space = true}, "a- b"), (Words{" a", " b"}));
  EXPECT_EQ(split({}, "as it is"), (Words{"as it is"}));
  EXPECT_TRUE(split({.use_gpt2_split = true}, "").empty());
}

TEST(PreTokenizer, SpeaksOnigurumasDialect) {
  const auto isolated = [](const char* pattern, std::string_view text) {
    return split({.splits = {{pattern, SplitBehavior::kRemoved, true}}}, text);  // the matches alone
  };
  EXPECT_EQ(isolated(R"(\s+)", "a\u3000\u00A0b\u180Ec"), (Words{"\u3000\u00A0"}));  // U+180E is no space any more
  EXPECT_EQ(isolated(R"([^\S]+)", "a \u2003b"), (Words{" \u2003"}));
  EXPECT_EQ(isolated(R"(\w+)", "e\u0301_\u0663\u00BD"), (Words{"e\u0301_\u0663"}));
  EXPECT_EQ(isolated(R"(\w+\b)", "e\u0301!"), (Words{"e\u0301"}));
  EXPECT_EQ(isolated(R"(\p{N}{1,3}+)", "1234567"), (Words{"1234567"}));  // repeated, not possessive
  EXPECT_EQ(isolated(R"([a-z]++)", "abc"), (Words{"abc"}));
  EXPECT_EQ(isolated(R"(x{,2}y)", "xxxy"), (Words{"xxy"}));
  EXPECT_EQ(isolated(R"(\h+|\v)", "xyzBEEF\x0B\n"), (Words{"BEEF", "\x0B"}));
  EXPECT_EQ(isolated(R"([^(\s|[.,!])]+)", "one, (two)"), (Words{"one", "two"}));          // a class inside a class
  EXPECT_EQ(isolated(R"(\p{Han}+)", "\u4E2D\u3001\u65E5"), (Words{"\u4E2D", "\u65E5"}));  // Script, not extensions
  EXPECT_EQ(isolated(R"((?m:a.))", "a\n"), (Words{"a\n"}));
  EXPECT_EQ(isolated(R"(^.+$)", "ab\ncd"), (Words{"ab", "cd"}));
  EXPECT_EQ(isolated(R"(\u4e2d)", "a\u4E2D"), (Words{"\u4E2D"}));
  EXPECT_EQ(isolated(escape_pattern("a.[*]#-^$").c_str(), "xa.[*]#-^$x"), (Words{"a.[*]#-^$"}));
}

constexpr const char* kTiny = R"({
  "added_tokens": [{"id": 4, "content": "<s>", "special": true}, {"id": 7, "content": "</s>", "special": true}],
  "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
  "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}})";

TEST(TokenizerJson, ReadsBothKindsOfMergesAndGaps) {
  const TokenizerModel model = parse_tokenizer_json(kTiny, "tiny");
  EXPECT_EQ(model.tokens, (Words{"a", "b", "ab", "", "<s>", "", "", "</s>"}));
  EXPECT_EQ(model.added.size(), 2u);
  EXPECT_TRUE(model.added[0].special && !model.added[0].normalized);
  EXPECT_THAT(Tokenizer(model).encode("ab<s>a"), ElementsAre(2, 4, 0));
  std::string pairs = kTiny;
  pairs.replace(pairs.find("\"a b\""), 5, R"(["a", "b"])");
  EXPECT_EQ(parse_tokenizer_json(pairs, "tiny").merges, model.merges);
}

TEST(TokenizerJson, ReadsPostProcessors) {
  const auto with = [](const std::string& processor) {
    return parse_tokenizer_json(R"({"post_processor": )" + processor + ", " + (kTiny + 1), "tiny");
  };
  const std::string bos = R"({"type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "B", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "special_tokens": {"B": {"id": "B", "ids": [4], "tokens": ["<s>"]}}})";
  const std::string roberta = R"({"type": "RobertaProcessing", "cls": ["<s>", 4], "sep": ["</s>", 7]})";
  EXPECT_THAT(with(bos).prefix_ids, ElementsAre(4));
  const TokenizerModel both = with(R"({"type": "Sequence", "processors": [{"type": "ByteLevel"}, )" + bos + "]}");
  EXPECT_THAT(both.prefix_ids, ElementsAre(4));
  EXPECT_THAT(with(roberta).prefix_ids, ElementsAre(4));
  EXPECT_THAT(with(roberta).suffix_ids, ElementsAre(7));

  TokenizerModel model = with(bos);
  merge_tokenizer_config(model, R"({"bos_token": "<s>"})", "config");
  EXPECT_TRUE(model.adds_bos());
  merge_tokenizer_config(model, R"({"add_bos_token": true})", "config");
  EXPECT_THAT(model.prefix_ids, ElementsAre(4));
  merge_tokenizer_config(model, R"({"add_bos_token": false})", "config");
  EXPECT_FALSE(model.adds_bos());
}

// A folder with tokenizer.json alone: the template says what the text starts with, so that is BOS.
TEST(TokenizerJson, TheTemplatesOnlyTokenInFrontIsBos) {
  const std::filesystem::path folder = scratch_path("vernier_tokenizer_alone");
  write_file(folder / "tokenizer.json", R"({"post_processor": {"type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "B", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "special_tokens": {"B": {"id": "B", "ids": [4], "tokens": ["<s>"]}}}, )" +
                                            std::string(kTiny + 1));
  const TokenizerModel model = load_tokenizer_model(folder);
  EXPECT_TRUE(model.adds_bos());
  EXPECT_EQ(model.bos_token, "<s>");
  EXPECT_FALSE(model.eos_id);
  std::filesystem::remove_all(folder);
}

TEST(TokenizerJson, MergesTheConfig) {
  const TokenizerModel bare = parse_tokenizer_json(kTiny, "tiny");
  TokenizerModel model = bare;
  merge_tokenizer_config(
      model,
      R"({"bos_token": {"content": "<s>"}, "eos_token": "</s>", "add_bos_token": true, "chat_template": "{{x}}"})",
      "config");
  EXPECT_EQ(model.bos_id, 4);
  EXPECT_EQ(model.eos_id, 7);
  EXPECT_EQ(model.chat_template, "{{x}}");
  EXPECT_TRUE(model.adds_bos());

  model = bare;
  merge_tokenizer_config(model, R"({"bos_token": "<other>", "add_bos_token": true})", "config");
  EXPECT_FALSE(model.bos_id.has_value()) << "not in the vocabulary";
  EXPECT_FALSE(model.adds_bos());

  model = bare;
  merge_tokenizer_config(model, R"({"bos_token": null, "chat_template":
    [{"name": "tools", "template": "T"}, {"name": "default", "template": "D"}]})",
                         "config");
  EXPECT_EQ(model.chat_template, "D");
}

TEST(TokenizerGguf, NamesKnownPreTokenizers) {
  const auto name = [](const char* fixture) { return gguf_pre_name(load_tokenizer_model(kFixtures / fixture)); };
  EXPECT_EQ(name("gpt2"), "gpt-2");
  EXPECT_EQ(name("llama3"), "llama-bpe");
  EXPECT_EQ(name("qwen2"), "qwen2");

  for (const char* known : {"gpt-2", "llama-bpe", "smaug-bpe", "qwen2", "qwen35", "default", "smollm", "tekken",
                            "gpt-4o", "deepseek-v3", "deepseek-coder", "bloom"}) {
    const GgufPreTokenizer found = pretokenizer_for_gguf(known);
    TokenizerModel model = byte_model();
    model.tokens.push_back("cat");  // out of the merges' reach, so that ignore_merges matters
    model.pre_tokenizer = found.rules;
    model.ignore_merges = found.ignore_merges;
    EXPECT_EQ(gguf_pre_name(model), known);
    EXPECT_EQ(Tokenizer(model).decode(Tokenizer(model).encode("I'm 12 \u4E2D\n")), "I'm 12 \u4E2D\n");
  }
  EXPECT_TRUE(pretokenizer_for_gguf("llama-bpe").adds_bos);
  EXPECT_EQ(pretokenizer_for_gguf("starcoder").rules.splits, pretokenizer_for_gguf("smollm").rules.splits);
}

TEST(TokenizerGguf, IgnoreMergesDecidesTheNameOnlyWhereItMatters) {
  TokenizerModel model = byte_model();
  add_merge(model, "a", "b");
  model.pre_tokenizer = pretokenizer_for_gguf("qwen2").rules;
  model.ignore_merges = true;
  EXPECT_EQ(gguf_pre_name(model), "qwen2") << "every word is reached by merges";
  model.tokens.push_back("cat");
  expect_error(ErrorKind::kUnsupported, {"under \"qwen2\" but with ignore_merges off"}, [&] { gguf_pre_name(model); });
  model.pre_tokenizer = pretokenizer_for_gguf("llama-bpe").rules;
  EXPECT_EQ(gguf_pre_name(model), "llama-bpe");
  model.ignore_merges = false;
  EXPECT_EQ(gguf_pre_name(model), "smaug-bpe");
}

// Provenance: libllama of node-llama-cpp 3.21.1 gives the ids that these rules give with SmolLM2's vocabulary, once for a
// file with the key tokenizer.ggml.pre renamed and once for "default", on 420 texts of prose in several scripts, code, and
// mixed characters.
TEST(TokenizerGguf, TheDefaultRuleIsThatOfLlamaCpp) {
  const PreTokenizerRules rules = pretokenizer_for_gguf("default").rules;
  EXPECT_EQ(split(rules, "It's 1234567 o'clock."),
            (Words{"It", "'", "s", " ", "123", "456", "7", " o", "'", "clock", "."}));
  EXPECT_EQ(split(rules, "a+=b; x<y|z `c`"), (Words{"a", "+=", "b", ";", " x", "<", "y", "|", "z", " `", "c", "`"}));
  EXPECT_EQ(split(rules, "two  spaces\n\n"), (Words{"two", " ", " spaces", "\n\n"}));
  EXPECT_EQ(split(rules, "\u4E2D\u6587\u3002\u0661\u0662\u0663\u0664"),
            (Words{"\u4E2D\u6587", "\u3002", "\u0661\u0662\u0663\u0664"}));
}

TEST(TokenizerGguf, AFileWithoutPreTokenizerIsReadByTheDefaultRuleWithAWarning) {
  const std::filesystem::path path = scratch_path("vernier_no_pre");
  TokenizerModel model = byte_model();
  model.pre_tokenizer.use_gpt2_split = true;
  const auto read = [&](const char* pre) {
    GgufWriter writer;
    writer.set("tokenizer.ggml.model", std::string("gpt2"));
    if (pre != nullptr) writer.set("tokenizer.ggml.pre", std::string(pre));
    writer.set("tokenizer.ggml.tokens", model.tokens);
    writer.set("tokenizer.ggml.merges", std::vector<std::string>{});
    writer.write(path, [](size_t, const ByteSink&) {});
    TokenizerModel result = read_tokenizer(GgufFile(path));
    std::filesystem::remove(path);
    return result;
  };
  for (const char* pre : {static_cast<const char*>(nullptr), "", "default"}) {
    const TokenizerModel found = read(pre);
    EXPECT_EQ(found.pre_tokenizer.splits, pretokenizer_for_gguf("default").rules.splits);
    EXPECT_FALSE(found.pre_tokenizer.use_gpt2_split);
    ASSERT_EQ(found.warnings.size(), 1u);
    EXPECT_THAT(found.warnings[0],
                testing::AllOf(testing::HasSubstr(path.string()), testing::HasSubstr("tokenizer.ggml.pre"),
                               testing::HasSubstr(pre != nullptr && *pre ? "\"default\"" : "missing")));
    EXPECT_EQ(gguf_pre_name(found), "default") << "what is read so is written so";
  }
  EXPECT_THAT(read("gpt-2").warnings, testing::IsEmpty());
}

TEST(TokenizerGguf, RefusesWhatHasNoName) {
  TokenizerModel model = byte_model();
  model.pre_tokenizer.splits = {{"[aeiou]+"}};
  expect_error(ErrorKind::kUnsupported, {"[aeiou]+", "--tokenizer-pre"}, [&] { gguf_pre_name(model); });
  expect_error(ErrorKind::kUnsupported, {"\"no-such-name\" (tokenizer.ggml.pre) is unknown"},
               [] { pretokenizer_for_gguf("no-such-name"); });
  // Removing the matches of an expression that covers everything is not the same as isolating them.
  model.pre_tokenizer = pretokenizer_for_gguf("qwen2").rules;
  model.pre_tokenizer.splits[0].behavior = SplitBehavior::kRemoved;
  expect_error(ErrorKind::kUnsupported, {"no llama.cpp name is known"}, [&] { gguf_pre_name(model); });
  model.pre_tokenizer.splits[0].invert = true;
  EXPECT_EQ(gguf_pre_name(model), "qwen2");
}

}  // namespace
}  // namespace vernier
