#include "vernier/tokenizer.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "base/json.h"
#include "base/output_file.h"
#include "format/pretokenizer.h"
#include "format/pretokenizer_syntax.h"
#include "format/tokenizer_text.h"

namespace vernier {
namespace {

const std::filesystem::path kFixtures = std::filesystem::path(VERNIER_SOURCE_DIR) / "tests/fixtures/tokenizers";

class TokenizerFixture : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(All, TokenizerFixture, testing::Values("gpt2", "llama3", "qwen2"));

TEST_P(TokenizerFixture, AgreesWithHuggingFace) {
  const Tokenizer tokenizer(load_tokenizer_model(kFixtures / GetParam()));
  const Json golden = read_json(kFixtures / GetParam() / "golden.json");
  ASSERT_GT(golden.size(), 25u);
  for (const Json& example : golden) {
    const auto text = example["text"].get<std::string>();
    const auto plain = tokenizer.encode(text, {.add_special = false});
    EXPECT_EQ(tokenizer.encode(text), example["ids"].get<std::vector<int32_t>>()) << text;
    EXPECT_EQ(plain, example["ids_no_special"].get<std::vector<int32_t>>()) << text;
    EXPECT_EQ(tokenizer.decode(plain), example["decoded"].get<std::string>()) << text;
  }
}
}  // namespace
}  // namespace vernier
