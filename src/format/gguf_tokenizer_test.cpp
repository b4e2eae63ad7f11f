#include "format/gguf_tokenizer.h"

#include "format/format_test_util.h"
#include "format/tokenizer_text.h"

namespace vernier {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

class GgufTokenizerTest : public FormatTest {
 protected:
  GgufTokenizerTest() {
    model_.tokens.assign(byte_alphabet().begin(), byte_alphabet().end());
    model_.pre_tokenizer.use_gpt2_split = true;
    eos_ = add({.content = "<end>", .special = true});
    model_.eos_id = eos_;
  }

  int32_t add(AddedToken token) {
    token.id = static_cast<int32_t>(model_.tokens.size());
    model_.tokens.push_back(token.content);
    model_.added.push_back(token);
    return token.id;
  }

  GgufFile written(const std::vector<GgufKeyValue>& more = {}) const {
    GgufWriter writer;
    add_tokenizer(writer, model_, static_cast<int64_t>(model_.tokens.size()), "");
    for (const GgufKeyValue& entry : more) writer.set(entry.key, entry.value);
    const auto path = folder_ / "tokenizer.gguf";
    std::filesystem::remove(path);
    writer.write(path, [](size_t, const ByteSink&) {});
    return GgufFile(path);
  }

  TokenizerModel model_;
  int32_t eos_ = 0;
};

TEST_F(GgufTokenizerTest, FurtherEndsAreEndOfTurnAndOfMessage) {
  const int32_t turn = add({.content = "<turn>", .special = true}),
                eom = add({.content = "<|eom_id|>", .special = true});
  model_.end_ids = {eos_, eom, turn};
  const GgufFile file = written();
  EXPECT_EQ(file.get_int("tokenizer.ggml.eot_token_id", 0, 999), turn);
  EXPECT_EQ(file.get_int("tokenizer.ggml.eom_token_id", 0, 999), eom);
  EXPECT_THAT(gguf_tokenizer_losses(model_), IsEmpty());
  EXPECT_THAT(read_tokenizer(file).special_ids, UnorderedElementsAre(Pair("eot", turn), Pair("eom", eom)));

  model_.end_ids = {turn, 'a', eom, add({.content = "<third>", .special = true})};
  EXPECT_EQ(written().get_int("tokenizer.ggml.eot_token_id", 0, 999), turn);
  EXPECT_THAT(gguf_tokenizer_losses(model_),
              ElementsAre(HasSubstr("token 97 ("), HasSubstr("token 259 (\"<third>\") ends an answer too")))
      << "an ordinary token ends nothing in llama.cpp, and there are two keys";
}

TEST_F(GgufTokenizerTest, RolesAndTemplatesSurviveARoundTrip) {
  model_.special_ids = {{"padding", 0}, {"unknown", 1}, {"fim_pre", 2}, {"seperator", 3}, {"mask", 4}, {"eot", eos_}};
  model_.chat_template = "D";
  model_.named_templates = {{"rag", "R"}, {"tool_use", "T"}};
  const GgufFile file = written();
  EXPECT_THAT(file.get_strings("tokenizer.chat_templates"), ElementsAre("rag", "tool_use"));
  const TokenizerModel back = read_tokenizer(file);
  EXPECT_EQ(back.special_ids, model_.special_ids);
  EXPECT_EQ(back.chat_template, "D");
  EXPECT_EQ(back.named_templates, model_.named_templates);
  EXPECT_THAT(back.warnings, IsEmpty());
  model_ = back;
  EXPECT_EQ(read_tokenizer(written()).special_ids, back.special_ids) << "and a second one";
}

TEST_F(GgufTokenizerTest, AnIdOutsideTheVocabularyIsLeftOutWithAWarning) {
  model_.eos_id.reset();
  const TokenizerModel back = read_tokenizer(written({{"tokenizer.ggml.eos_token_id", uint32_t{1000}},
                                                      {"tokenizer.ggml.bos_token_id", int32_t{-1}},
                                                      {"tokenizer.ggml.padding_token_id", UINT32_MAX},
                                                      {"tokenizer.ggml.fim_sep_token_id", uint32_t{257}}}));
  EXPECT_FALSE(back.eos_id);
  EXPECT_FALSE(back.bos_id);
  EXPECT_THAT(back.special_ids, IsEmpty());
  EXPECT_THAT(back.warnings,
              ElementsAre(AllOf(HasSubstr("tokenizer.gguf"), HasSubstr("eos_token_id 1000 is outside the vocabulary")),
                          HasSubstr("fim_sep_token_id 257")));
}

TEST_F(GgufTokenizerTest, ATokenizerWithoutEndSaysWhatLlamaCppTakes) {
  model_.eos_id.reset();
  EXPECT_THAT(gguf_tokenizer_losses(model_),
              ElementsAre(AllOf(HasSubstr("no end of sequence is named"), HasSubstr("token 11 ("))));
  TokenizerModel tiny;
  tiny.tokens = {"a"};
  EXPECT_THAT(gguf_tokenizer_losses(tiny), ElementsAre(HasSubstr("token 11 for it")));
}

TEST_F(GgufTokenizerTest, LossesComeWithAnExampleThatDiffers) {
  add({.content = "<mask>", .special = true, .lstrip = true});
  add({.content = "<other>", .special = true, .lstrip = true});
  add({.content = "<r>", .rstrip = true});
  add({.content = "am", .single_word = true});
  model_.nfc = true;
  const auto losses = gguf_tokenizer_losses(model_);
  EXPECT_THAT(losses, ElementsAre(AllOf(HasSubstr("lstrip of added token \"<mask>\" and 1 more"),
                                        HasSubstr("\"x <mask>\" is [120, 257] with it and [120, 32, 257] without")),
                                  AllOf(HasSubstr("rstrip of added token \"<r>\";"), HasSubstr("\"<r> x\"")),
                                  AllOf(HasSubstr("single_word of added token \"am\""), HasSubstr("\"xamx\"")),
                                  HasSubstr("normalization to form C")));
  const Tokenizer before(model_), after(read_tokenizer(written()));
  for (const char* text : {"x <mask>", "<r> x", "xamx", "e\u0301"})
    EXPECT_NE(before.encode(text), after.encode(text)) << "so it is in the file: " << text;
  EXPECT_THAT(gguf_tokenizer_losses(after.model()), IsEmpty()) << "nothing is left to lose";
}

TEST_F(GgufTokenizerTest, NoLossWhereNoTextDiffers) {
  add({.content = "", .lstrip = true, .rstrip = true});  // never found
  model_.unknown_id = 0;
  model_.fuse_unknown = true;
  EXPECT_THAT(gguf_tokenizer_losses(model_), IsEmpty()) << "every byte has a token";
}

TEST_F(GgufTokenizerTest, UnknownBytesBeyondAsciiAreLostToo) {
  for (const int byte : {0xa9, 0xc3, 0xed, 0xf4}) {
    TokenizerModel without = model_;
    without.tokens[static_cast<size_t>(byte)] = "";
    without.unknown_id = eos_;
    EXPECT_THAT(gguf_tokenizer_losses(without), ElementsAre(HasSubstr("\"<end>\" for bytes without a token"))) << byte;
  }
}

TEST_F(GgufTokenizerTest, APrefixSpaceAndUnknownBytesAreLost) {
  model_.tokens['~'] = "";  // tokens of bytes come first, in their order
  model_.pre_tokenizer.add_prefix_space = true;
  model_.unknown_id = eos_;
  EXPECT_THAT(gguf_tokenizer_losses(model_), ElementsAre(AllOf(HasSubstr("add_prefix_space"), HasSubstr("\"x\"")),
                                                         AllOf(HasSubstr("\"<end>\" for bytes without a token"),
                                                               HasSubstr("\"~\" is [32, 256] with it"))));
}

}  // namespace
}  // namespace vernier
