#include "format/pretokenizer_probe.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>

#include "format/tokenizer_text.h"
#include "support/expect_error.h"

namespace vernier {
namespace {

using testing::Not;
using Words = std::vector<std::string>;

// 256 bytes, no merges, and one word out of the merges' reach, so that ignore_merges matters.
TokenizerModel probed_model(const PreTokenizerRules& rules) {
  TokenizerModel model;
  model.origin = "test.json";
  model.tokens.assign(byte_alphabet().begin(), byte_alphabet().end());
  model.tokens.push_back("cat");
  model.pre_tokenizer = rules;
  return model;
}

TEST(PreTokenizerProbe, TellsAllKnownRulesApart) {
  std::map<Words, std::pair<std::string, PreTokenizerRules>> seen;
  for (const std::string& name : gguf_pre_names()) {
    const PreTokenizerRules rules = pretokenizer_for_gguf(name).rules;
    const auto [other, is_new] = seen.emplace(probe_words(rules, name), std::pair(name, rules));
    EXPECT_TRUE(is_new || (other->second.second.splits == rules.splits &&
                           other->second.second.use_gpt2_split == rules.use_gpt2_split))
        << name << " and " << other->second.first << " cut alike";
  }
  EXPECT_GE(seen.size(), 11u);
}

TEST(PreTokenizerProbe, IsValidAndNothingIsLost) {
  const std::string_view text = pretokenizer_probe();
  EXPECT_EQ(valid_utf8_prefix(text), text.size());
  EXPECT_EQ(probe_words({}, "test"), Words{std::string(text)});
  std::string joined;
  for (const std::string& word : probe_words(pretokenizer_for_gguf("qwen2").rules, "test")) joined += word;
  EXPECT_EQ(joined, text);
}

TEST(PreTokenizerProbe, OtherSpellingsOfARuleCutAlike) {
  // As llama.cpp spells the contractions of Llama 3's rule.
  const PreTokenizerRules spelled{
      .splits = {{R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
                  R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}}};
  EXPECT_FALSE(
      first_split_difference(probe_words(spelled, "a"), probe_words(pretokenizer_for_gguf("llama-bpe").rules, "b")));
  TokenizerModel model = probed_model(spelled);
  expect_error(ErrorKind::kUnsupported, {"smaug-bpe", "--tokenizer-pre", "test.json"}, [&] { gguf_pre_name(model); });
  check_gguf_pre_name(model, "smaug-bpe");
  check_gguf_pre_name(model, "glm4");
  model.ignore_merges = true;
  check_gguf_pre_name(model, "llama-bpe");
}

TEST(PreTokenizerProbe, DifferencesEndWhereWordsLieLevelAgain) {
  const auto difference = first_split_difference({"a", "123", "4", " b", "c"}, {"a", "1", "2", "3", "4", " b", "d"});
  ASSERT_TRUE(difference);
  EXPECT_EQ(difference->a, Words{"123"});
  EXPECT_EQ(difference->b, (Words{"1", "2", "3"}));
  const auto longer = first_split_difference({"a"}, {"a", "b"});
  ASSERT_TRUE(longer);
  EXPECT_EQ(longer->a, Words{});
  EXPECT_EQ(longer->b, Words{"b"});
  EXPECT_FALSE(first_split_difference({"a"}, {"a"}));
  EXPECT_EQ(quoted({"a\n", " \""}), R"(["a\n"," \""])");
}

// `qwen2` cuts digits one by one; it used to be written for a tokenizer that takes three at once.
TEST(PreTokenizerProbe, ANameThatCutsOtherwiseIsRefused) {
  TokenizerModel model = probed_model(pretokenizer_for_gguf("llama-bpe").rules);
  model.ignore_merges = true;
  check_gguf_pre_name(model, "llama-bpe");
  check_gguf_pre_name(model, "llama3");
  expect_error(ErrorKind::kInvalidArgument,
               {"\"qwen2\"", R"(["1","2"] where test.json cuts ["12"])", "the tokenizer does as llama-bpe;",
                "--tokenizer-pre-unchecked"},
               [&] { check_gguf_pre_name(model, "qwen2"); });
  expect_error(ErrorKind::kInvalidArgument, {"\"smaug-bpe\"", "ignore_merges off", "as llama-bpe;"},
               [&] { check_gguf_pre_name(model, "smaug-bpe"); });
  model.tokens.pop_back();
  check_gguf_pre_name(model, "smaug-bpe");  // merges reach everything now
}

TEST(PreTokenizerProbe, AnUnknownNameIsRefusedWithTheKnownOnes) {
  expect_error(ErrorKind::kInvalidArgument, {"\"foo\"", "llama-bpe", "--tokenizer-pre-unchecked"},
               [&] { check_gguf_pre_name(probed_model({.use_gpt2_split = true}), "foo"); });
  expect_error(ErrorKind::kInvalidArgument, {"no known name", "test.json"},
               [&] { check_gguf_pre_name(probed_model({.splits = {{"[aeiou]+"}}}), "gpt-2"); });
}

TEST(PreTokenizerProbe, APrefixSpaceDoesNotDecideTheName) {
  const TokenizerModel model = probed_model({.add_prefix_space = true, .use_gpt2_split = true});
  check_gguf_pre_name(model, "gpt-2");
  expect_error(ErrorKind::kInvalidArgument, {"\"qwen2\"", "as gpt-2;"}, [&] { check_gguf_pre_name(model, "qwen2"); });
}

}  // namespace
}  // namespace vernier
