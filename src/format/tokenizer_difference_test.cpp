#include "format/tokenizer_difference.h"

#include <gmock/gmock.h>

#include "format/gguf_file.h"
#include "format/gguf_tokenizer.h"
#include "format/gguf_writer.h"
#include "format/tokenizer_text.h"
#include "support/byte_model.h"
#include "support/scratch.h"

namespace vernier {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

TokenizerModel split_byte_model() {
  TokenizerModel model = byte_model();
  model.pre_tokenizer.use_gpt2_split = true;
  return model;
}

TokenizerModel by_way_of_gguf(const TokenizerModel& model, int64_t vocabulary) {
  const std::filesystem::path path = scratch_path("vernier_tokenizer_difference");
  GgufWriter writer;
  add_tokenizer(writer, model, vocabulary, "");
  writer.write(path, [](size_t, const ByteSink&) {});
  TokenizerModel read = read_tokenizer(GgufFile(path));
  std::filesystem::remove(path);
  return read;
}

std::string difference_of(const TokenizerModel& a, const TokenizerModel& b) {
  const auto found = compare_tokenizers(Tokenizer(a), Tokenizer(b));
  return found ? found->text() : "";
}

class TokenizerDifferenceFixture : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(All, TokenizerDifferenceFixture, testing::Values("gpt2", "llama3", "qwen2", "pieces"));

TEST_P(TokenizerDifferenceFixture, AModelEqualsItsOwnGgufFile) {
  TokenizerModel model =
      load_tokenizer_model(std::filesystem::path(VERNIER_SOURCE_DIR) / "tests/fixtures/tokenizers" / GetParam());
  model.nfc = false;  // the file has no place for it
  for (AddedToken& token : model.added) token.lstrip = token.rstrip = token.single_word = false;
  EXPECT_EQ(difference_of(model, model), "");
  const TokenizerModel padded = by_way_of_gguf(model, static_cast<int64_t>(model.tokens.size()) + 40);
  EXPECT_GT(padded.tokens.size(), model.tokens.size());
  EXPECT_EQ(difference_of(model, padded), "");
  EXPECT_EQ(difference_of(padded, model), "");
}

// The fault this is for: as many tokens, other ids, and a comparison of probabilities that means nothing.
TEST(TokenizerDifference, AnotherOrderOfIdsIsFoundInVocabularyAndText) {
  TokenizerModel model = split_byte_model();
  TokenizerModel other = model;
  std::swap(other.tokens[0x66], other.tokens[0x67]);  // f and g
  const Tokenizer a(model), b(other);
  const TokenizerComparison found = compare_tokenizers_on(a, b, {"no such letter", "a fine day"});
  ASSERT_TRUE(found.ids && found.tokenizers);
  EXPECT_EQ(found.ids->text_index, 1u);
  EXPECT_EQ(found.ids->position, 2u);
  EXPECT_EQ(found.ids->excerpt, "fine day");
  EXPECT_EQ(found.ids->a.front(), a.encode("f")[0]);
  EXPECT_EQ(found.ids->b.front(), b.encode("f")[0]);
  EXPECT_THAT(found.text(), AllOf(HasSubstr("id 2, at \"fine day\""), HasSubstr("token 102: \"f\" against \"g\"")));

  const TokenizerComparison unused = compare_tokenizers_on(a, b, {"no such letter"});
  EXPECT_FALSE(unused.ids);
  EXPECT_EQ(unused.text(), "token 102: \"f\" against \"g\"");
  EXPECT_EQ(compare_tokenizers_on(a, a, {"a fine day"}).text(), "");
}

TEST(TokenizerDifference, ExcerptsAreShortAndOfWholeCharacters) {
  TokenizerModel model = split_byte_model();
  TokenizerModel other = model;
  add_merge(other, byte_alphabet()[0xB8], byte_alphabet()[0xAD]);  // the end of U+4E2D
  add_merge(model, "q", "q");
  std::string text = "ab ";
  for (int i = 0; i < 30; ++i) text += "\u4E2D";
  const auto found = first_id_difference(Tokenizer(model), Tokenizer(other), text);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->position, 4u);
  EXPECT_THAT(found->excerpt, testing::StartsWith("\u4E2D\u4E2D"));
  EXPECT_LE(found->excerpt.size(), 44u);
  EXPECT_EQ(valid_utf8_prefix(found->excerpt), found->excerpt.size());
  EXPECT_THAT(found->a, testing::SizeIs(8));

  TokenizerModel dropping = model;
  dropping.tokens['z'] = "";
  const auto end = first_id_difference(Tokenizer(dropping), Tokenizer(model), "abz");
  ASSERT_TRUE(end);
  EXPECT_THAT(end->a, ElementsAre());
  EXPECT_THAT(end->text(), HasSubstr("the end of the text: [] against [122]"));
}

TEST(TokenizerDifference, EveryPartThatDecidesIdsIsCompared) {
  TokenizerModel base = split_byte_model();
  add_merge(base, "a", "b");  // 256
  add_merge(base, "c", "d");
  add_token(base, {.content = "<s>", .special = true});  // 258
  add_token(base, {.content = "<mask>"});
  const auto differs = [&](const char* part, const auto& change) {
    TokenizerModel other = base;
    change(other);
    EXPECT_THAT(difference_of(base, other), HasSubstr(part));
    EXPECT_THAT(difference_of(other, base), HasSubstr(part));
  };
  differs("merge 0: ", [](TokenizerModel& m) { std::swap(m.merges[0], m.merges[1]); });
  differs("merge 1: ", [](TokenizerModel& m) { m.merges.pop_back(); });
  differs("token 260: ", [](TokenizerModel& m) { m.tokens.push_back("zz"); });
  differs("added token \"<s>\": ", [](TokenizerModel& m) { m.added[0].special = false; });
  differs("added token \"<mask>\": ", [](TokenizerModel& m) { m.added.pop_back(); });
  differs("added token \"<mask>\": ", [](TokenizerModel& m) { m.added[1].lstrip = true; });
  differs("added token \"<mask>\": ", [](TokenizerModel& m) { m.added[1].single_word = true; });
  differs("pre-tokenizer: ", [](TokenizerModel& m) { m.pre_tokenizer = pretokenizer_for_gguf("qwen2").rules; });
  differs("pre-tokenizer: ", [](TokenizerModel& m) { m.pre_tokenizer.add_prefix_space = true; });
  differs("normalization: ", [](TokenizerModel& m) { m.nfc = true; });
  differs("lower case: ", [](TokenizerModel& m) { m.lowercase = true; });
  differs("single spaces: ", [](TokenizerModel& m) { m.one_space = true; });
  differs("end of words: ", [](TokenizerModel& m) { m.word_end = "</w>"; });
  differs("BOS): ", [](TokenizerModel& m) { m.prefix_ids = {258}; });
  differs("EOS): ", [](TokenizerModel& m) { m.suffix_ids = {258}; });

  const auto equal = [&](const auto& change) {
    TokenizerModel other = base;
    change(other);
    EXPECT_EQ(difference_of(base, other), "");
    EXPECT_EQ(difference_of(other, base), "");
  };
  equal([](TokenizerModel& m) { m.tokens.resize(300); });
  equal([](TokenizerModel& m) { m.tokens.push_back("[PAD260]"); });
  equal([](TokenizerModel& m) { m.ignore_merges = true; });             // merges reach all words
  equal([](TokenizerModel& m) { m.unknown_id = 258; });                 // every byte has a token
  equal([](TokenizerModel& m) { m.added[1].normalized = true; });       // nothing is normalized
  equal([](TokenizerModel& m) { std::swap(m.added[0], m.added[1]); });  // order of the list
  equal([](TokenizerModel& m) { m.eos_id = 258; });                     // decides when to stop, not ids

  base.tokens.push_back("cat");
  differs("ignore_merges: ", [](TokenizerModel& m) { m.ignore_merges = true; });
  base.tokens['z'] = "";
  differs("unknown token: ", [](TokenizerModel& m) { m.unknown_id = 258; });
}

}  // namespace
}  // namespace vernier
