// What the files beside tokenizer.json say, and which of them counts when several speak.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/output_file.h"
#include "support/scratch.h"
#include "vernier/error.h"
#include "vernier/tokenizer.h"

namespace vernier {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

class TokenizerFolder : public testing::Test {
 protected:
  TokenizerFolder() {
    write("tokenizer.json", R"({"added_tokens": [
      {"id": 2, "content": "<s>", "special": true}, {"id": 3, "content": "<end>", "special": true},
      {"id": 4, "content": "<turn>", "special": true}, {"id": 6, "content": "<pad>", "special": true}],
      "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
      "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}})");
  }
  ~TokenizerFolder() override { fs::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((folder_ / name).parent_path());
    write_file(folder_ / name, text);
  }
  TokenizerModel load() const { return load_tokenizer_model(folder_); }

  fs::path folder_ = scratch_path("vernier_tokenizer_folder");
};

TEST_F(TokenizerFolder, WhatIsOnlyKeptIsNoReasonToRefuse) {
  write("tokenizer_config.json", R"({"eos_token": "<end>", "pad_token": false})");
  const TokenizerModel model = load();
  EXPECT_EQ(model.eos_id, 3);
  EXPECT_THAT(model.warnings, ElementsAre(AllOf(HasSubstr("pad_token"), HasSubstr("expected a token, got false"))));
}

TEST_F(TokenizerFolder, EndsComeFromTheModelsConfigsWhereTokenizerFilesNameNone) {
  EXPECT_FALSE(load().eos_id);
  write("config.json", R"({"bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 6})");
  TokenizerModel model = load();
  EXPECT_EQ(model.bos_id, 2);
  EXPECT_EQ(model.bos_token, "<s>");
  EXPECT_EQ(model.eos_id, 3);
  EXPECT_EQ(model.eos_token, "<end>");
  EXPECT_FALSE(model.adds_bos()) << "an id is no order to put it in front";
  EXPECT_THAT(model.special_ids, UnorderedElementsAre(Pair("padding", 6)));
  EXPECT_THAT(model.end_ids, IsEmpty());

  write("generation_config.json", R"({"eos_token_id": [4, 3, 4], "pad_token_id": -1})");
  model = load();
  EXPECT_EQ(model.eos_id, 4) << "generation_config.json before config.json";
  EXPECT_THAT(model.end_ids, ElementsAre(3));
  EXPECT_THAT(model.special_ids, UnorderedElementsAre(Pair("padding", 6)));
  EXPECT_THAT(model.warnings, IsEmpty()) << "-1 means none";

  write("tokenizer_config.json", R"({"eos_token": "<end>", "pad_token": "<pad>", "bos_token": null})");
  model = load();
  EXPECT_EQ(model.eos_id, 3);
  EXPECT_THAT(model.end_ids, ElementsAre(4));
  EXPECT_EQ(model.bos_id, 2);
}

TEST_F(TokenizerFolder, AnEndOutsideTheVocabularyIsLeftOutWithAWarning) {
  write("tokenizer_config.json", R"({"eos_token": "<gone>"})");
  write("generation_config.json", R"({"eos_token_id": [99, 5, 3], "bos_token_id": 18446744073709551615})");
  const TokenizerModel model = load();
  EXPECT_EQ(model.eos_id, 3);
  EXPECT_EQ(model.eos_token, "<end>");
  EXPECT_THAT(model.end_ids, IsEmpty());
  EXPECT_FALSE(model.bos_id);
  EXPECT_THAT(
      model.warnings,
      ElementsAre(AllOf(HasSubstr("tokenizer_config.json"), HasSubstr("eos_token \"<gone>\" is not in the vocabulary")),
                  AllOf(HasSubstr("generation_config.json"), HasSubstr("bos_token_id 18446744073709551615")),
                  HasSubstr("eos_token_id 99 is outside the vocabulary of 7 tokens"), HasSubstr("eos_token_id 5 ")));
}

TEST_F(TokenizerFolder, AnIdThatIsNoneIsABadFile) {
  for (const char* value : {"\"3\"", "[3, null]", "3.5", "{}", "true"}) {
    write("generation_config.json", std::string(R"({"eos_token_id": )") + value + "}");
    try {
      load();
      ADD_FAILURE() << "read " << value;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kBadFile);
      EXPECT_THAT(e.what(), AllOf(HasSubstr("generation_config.json"), HasSubstr("eos_token_id"),
                                  HasSubstr("expected an id or a list of ids")));
    }
  }
}

TEST_F(TokenizerFolder, RolesAreReadFromBothTokenizerFiles) {
  write("special_tokens_map.json", R"({"eos_token": "<end>", "unk_token": {"content": "a"}, "mask_token": "b"})");
  write("tokenizer_config.json", R"({"eos_token": "<turn>", "mask_token": "<s>"})");
  const TokenizerModel model = load();
  EXPECT_EQ(model.eos_id, 4);
  EXPECT_THAT(model.special_ids, UnorderedElementsAre(Pair("unknown", 0), Pair("mask", 2)));
  EXPECT_FALSE(model.unknown_id) << "a name in a config does not change ids";
}

TEST_F(TokenizerFolder, ChatTemplatesAreFoundWhereverVersionsPutThem) {
  write("tokenizer_config.json", R"({"chat_template": [
    {"name": "rag", "template": "R"}, {"name": "default", "template": "D"}]})");
  EXPECT_EQ(load().chat_template, "D");
  EXPECT_THAT(load().named_templates, UnorderedElementsAre(Pair("rag", "R")));
  write("chat_template.json", R"({"chat_template": "J"})");
  EXPECT_EQ(load().chat_template, "J");
  write("chat_template.json", R"({"chat_template": {"default": "K", "tool_use": "T"}})");
  EXPECT_EQ(load().chat_template, "K");
  write("chat_template.jinja", "\xEF\xBB\xBFX");
  write("additional_chat_templates/rag.jinja", "S");
  EXPECT_EQ(load().chat_template, "X");
  EXPECT_THAT(load().named_templates, UnorderedElementsAre(Pair("rag", "S"), Pair("tool_use", "T")));
}

TEST_F(TokenizerFolder, WithoutADefaultTemplateTheFirstIsIt) {
  write("tokenizer_config.json", R"({"chat_template": [
    {"name": "tools", "template": "T"}, {"name": "rag", "template": "R"}]})");
  EXPECT_EQ(load().chat_template, "T");
  EXPECT_THAT(load().named_templates, UnorderedElementsAre(Pair("tools", "T"), Pair("rag", "R")));
}

TEST_F(TokenizerFolder, ByteOrderMarksAreReadOver) {
  const std::string mark = "\xEF\xBB\xBF";
  write("tokenizer.json", mark + read_file(folder_ / "tokenizer.json"));
  write("tokenizer_config.json", mark + R"({"bos_token": "<s>"})");
  write("generation_config.json", mark + R"({"eos_token_id": 3})");
  EXPECT_EQ(load().bos_id, 2);
  EXPECT_EQ(load().eos_id, 3);
}

}  // namespace
}  // namespace vernier
