#include "format/carried_metadata.h"

#include "format/format_test_util.h"
#include "format/gguf_writer.h"

namespace vernier {
namespace {

class CarriedMetadataTest : public FormatTest {};

TEST_F(CarriedMetadataTest, IsWhatTheFileSaysOfItsOrigin) {
  const std::vector<GgufKeyValue> kept = {
      {"general.name", std::string("Tiny")},
      {"general.author", std::string("A")},
      {"general.organization", std::string("O")},
      {"general.license", std::string("apache-2.0")},
      {"general.license.link", std::string("https://example.org/licence")},
      {"general.languages", std::vector<std::string>{"en", "de"}},
      {"general.tags", std::vector<std::string>{"chat"}},
      {"general.url", std::string("u")},
      {"general.source.url", std::string("s")},
      {"general.base_model.count", uint32_t{1}},
      {"general.base_model.0.name", std::string("Base")},
      {"general.sampling.temp", 0.5f},
      {"tokenizer.ggml.add_space_prefix", false},
  };
  const std::vector<GgufKeyValue> left = {
      {"general.architecture", std::string("llama")},
      {"general.file_type", uint32_t{15}},
      {"general.quantization_version", uint32_t{2}},
      {"general.quantized_by", std::string("Q")},
      {"general.names", std::string("another key")},
      {"llama.block_count", uint32_t{2}},
      {"tokenizer.ggml.tokens", std::vector<std::string>{"a"}},
      {"tokenizer.ggml.padding_token_id", uint32_t{0}},
      {"split.count", uint16_t{0}},
      {"vernier.recipe", std::string("{}")},
  };
  GgufWriter writer;
  for (const auto* list : {&left, &kept})
    for (const GgufKeyValue& entry : *list) writer.set(entry.key, entry.value);
  writer.write(folder_ / "a.gguf", [](size_t, const ByteSink&) {});
  const auto carried = carried_metadata(GgufFile(folder_ / "a.gguf"));
  ASSERT_EQ(carried.size(), kept.size());
  for (size_t i = 0; i < kept.size(); ++i) {
    EXPECT_EQ(carried[i].key, kept[i].key);
    EXPECT_EQ(carried[i].value, kept[i].value) << kept[i].key;
  }
}

TEST_F(CarriedMetadataTest, WhetherASpaceIsPutInFrontIsPartOfATokenizerOfPieces) {
  GgufWriter writer;
  writer.set("tokenizer.ggml.model", std::string("llama"));
  writer.set("tokenizer.ggml.add_space_prefix", false);
  writer.write(folder_ / "a.gguf", [](size_t, const ByteSink&) {});
  EXPECT_TRUE(carried_metadata(GgufFile(folder_ / "a.gguf")).empty());
}

}  // namespace
}  // namespace vernier
