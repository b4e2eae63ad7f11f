#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/output_file.h"
#include "format/gguf_file.h"
#include "format/gguf_tokenizer.h"
#include "support/models.h"
#include "support/scratch.h"
#include "support/small_tokenizer.h"
#include "vernier/error.h"
#include "vernier/export.h"
#include "vernier/planning.h"

namespace vernier {
namespace {

class Export : public ::testing::TestWithParam<const char*> {
 protected:
  std::filesystem::path file_ = scratch_path(std::string("vernier_export_") + GetParam());
  void TearDown() override { std::filesystem::remove(file_); }
};

struct Warnings : ProgressSink {
  std::vector<std::string> all;
  void warn(std::string_view message) override { all.emplace_back(message); }
};

// Rotary reordering, rotary scaling, biases, head norms and tied embeddings survive the way out and back.
TEST_P(Export, OurOwnReaderGetsTheSameModel) {
  const Model model = fixture_model(GetParam());
  const QuantizedModel q =
      quantize(model, calibrate(model, made_up_windows(2, 16, 320)), plan_uniform(model, "gguf:q8_0"), 1);
  const TokenizerModel tokenizer = small_tokenizer();
  Warnings warnings;
  export_gguf(q, tokenizer, file_, {}, &warnings);
  EXPECT_EQ(std::filesystem::file_size(file_), gguf_file_bytes(model, q.plan, tokenizer));
  const bool window = std::string(GetParam()) == "mistral_sliding";
  EXPECT_EQ(warnings.all.size(), window ? 1u : 0u);

  const Model loaded = load_model(file_.string());
  for (const TensorId& id : loaded.tensors())
    EXPECT_TRUE(at::equal(loaded.weight(id), q.model.weight(id))) << name_of(id);
  EXPECT_EQ(loaded.tensors(), model.tensors());
  if (window) {
    EXPECT_EQ(loaded.config().context_length, 16);
    return;  // the file has no window any more, so longer texts differ, as they do in llama.cpp
  }
  const TokenWindow text = made_up_windows(1, 60, 320).windows[0];
  const at::Tensor ours = exact_log_p(q.model, text), theirs = exact_log_p(loaded, text);
  EXPECT_LT((ours - theirs).abs().max().item<double>(), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Models, Export,
                         ::testing::Values("llama", "llama3_rope_tied", "mistral_sliding", "qwen2", "qwen3",
                                           "rope_linear", "rope_yarn"),
                         [](const auto& info) { return std::string(info.param); });

TEST(ExportMetadata, TokenizerTemplateAndRecipeAreInside) {
  const Model model = fixture_model("llama");
  const TokenizerModel tokenizer = small_tokenizer();
  Plan plan = plan_uniform(model, "gguf:q8_0");
  plan.entries[3].reason = "because";
  const auto path = scratch_path("vernier_export_metadata.gguf");
  export_gguf(quantize(model, calibrate(model, made_up_windows(2, 16, 320)), plan, 1), tokenizer, path);
  const GgufFile file(path);
  EXPECT_EQ(file.get_string("general.architecture"), "llama");
  EXPECT_EQ(file.get_string("tokenizer.ggml.pre"), "llama-bpe");
  EXPECT_EQ(file.get_string("tokenizer.chat_template"), "{{ messages }}");
  EXPECT_EQ(file.get_strings("tokenizer.ggml.tokens").size(), 320u);  // padded to the model's vocabulary
  EXPECT_THAT(file.get_string("vernier.recipe"), ::testing::HasSubstr("because"));
  EXPECT_EQ(file.get_string("vernier.model_hash"), model_hash(model)) << "of the model it was made from";
  uint64_t stored = 0;
  for (const GgufTensor& tensor : file.tensors()) stored += tensor.data.size();
  EXPECT_EQ(load_model(path.string()).stored_bytes(), stored) << "in their schemes, not as decoded";
  const TokenizerModel back = read_tokenizer(file);
  const Tokenizer a(tokenizer), b(back);
  for (const char* text : {"Hello, world!", "  x=1;y=2\n\n", "héllo 1234 <|eot_id|>"}) {
    EXPECT_EQ(a.encode(text), b.encode(text)) << text;
    EXPECT_EQ(b.decode(b.encode(text, {.add_special = false})), text);
  }
  std::filesystem::remove(path);
}

TEST(ExportMetadata, AnUnknownPreTokenizerNamesTheOption) {
  const Model model = fixture_model("llama");
  TokenizerModel tokenizer = small_tokenizer();
  tokenizer.pre_tokenizer.splits[0].pattern = "[a-z]+";
  try {
    gguf_file_bytes(model, plan_uniform(model, "f16"), tokenizer);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kUnsupported);
    EXPECT_THAT(e.what(), ::testing::HasSubstr("--tokenizer-pre"));
  }
  const auto bytes_under = [&](const TokenizerModel& of, const char* name, bool unchecked) {
    return gguf_file_bytes(model, plan_uniform(model, "f16"), of,
                           {.tokenizer_pre = name, .tokenizer_pre_unchecked = unchecked});
  };
  try {
    bytes_under(tokenizer, "llama-bpe", false);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kInvalidArgument);
    EXPECT_THAT(e.what(), ::testing::HasSubstr("--tokenizer-pre-unchecked"));
  }
  EXPECT_GT(bytes_under(tokenizer, "llama-bpe", true), 0u);
  EXPECT_GT(bytes_under(small_tokenizer(), "llama-bpe", false), 0u);
}

TEST(ExportMetadata, WhatLlamaCppHasNoPlaceForIsRefused) {
  const auto expect_unsupported = [](const char* fixture, const char* part, auto&& change) {
    const Model model = fixture_model(fixture);
    ModelConfig config = model.config();
    change(config);
    Model changed(config, model.source());
    for (const TensorId& id : model.tensors()) changed.set_weight(id, model.weight(id));
    try {
      gguf_file_bytes(changed, plan_uniform(changed, "f16"), small_tokenizer());
      ADD_FAILURE() << "accepted " << part;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kUnsupported);
      EXPECT_THAT(e.what(), ::testing::HasSubstr(part));
    }
  };
  expect_unsupported("rope_yarn", "beta_fast 4", [](ModelConfig& c) { c.rope.beta_fast = 4; });
  expect_unsupported("rope_yarn", "beta_slow 2", [](ModelConfig& c) { c.rope.beta_slow = 2; });
  expect_unsupported("rope_yarn", "truncate false", [](ModelConfig& c) { c.rope.truncate = false; });
  expect_unsupported("qwen3", "attn_output.bias", [](ModelConfig& c) { c.attn_output_bias = true; });
  for (const char* fixture : {"qwen2", "qwen3"})
    expect_unsupported(fixture, "no place", [](ModelConfig& c) {
      c.rope.kind = RopeConfig::Kind::kLlama3;
      c.rope.factor = 8;
      c.rope.original_context = 64;
    });
  TokenizerModel tokenizer = small_tokenizer();
  tokenizer.prefix_ids = {5, 6};
  const Model model = fixture_model("llama");
  EXPECT_THROW(gguf_file_bytes(model, plan_uniform(model, "f16"), tokenizer), Error) << "two tokens in front";
}

TEST(ExportMetadata, TheHeaderHashFollowsTokenizerAndConfiguration) {
  const Model model = fixture_model("llama");
  const Plan plan = plan_uniform(model, "f16");
  TokenizerModel tokenizer = small_tokenizer();
  const std::string hash = gguf_header_hash(model, plan, tokenizer);
  EXPECT_EQ(gguf_header_hash(model, plan, tokenizer), hash);
  tokenizer.chat_template += " ";
  EXPECT_NE(gguf_header_hash(model, plan, tokenizer), hash);
  ModelConfig config = model.config();
  config.context_length *= 2;
  Model longer(config, model.source());
  for (const TensorId& id : model.tensors()) longer.set_weight(id, model.weight(id));
  EXPECT_NE(gguf_header_hash(longer, plan, small_tokenizer()), hash);
}

// Read as a model without that tensor, the file would answer, and every number would be wrong.
TEST(ExportMetadata, ATensorThatNoPartReadsIsRefused) {
  const Model model = fixture_model("qwen2");
  const auto path = scratch_path("vernier_unknown_tensor.gguf");
  export_gguf(quantize(model, calibrate(model, made_up_windows(2, 16, 320)), plan_uniform(model, "f16"), 1),
              small_tokenizer(), path);
  std::string bytes = read_file(path);
  const size_t at = bytes.find("blk.0.attn_q.bias");
  ASSERT_NE(at, std::string::npos);
  bytes.replace(at, 17, "blk.0.attn_x.bias");
  write_file(path, bytes);
  try {
    load_model(path.string());
    ADD_FAILURE() << "loaded";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), ::testing::HasSubstr("blk.0.attn_"));
  }
  std::filesystem::remove(path);
}

TEST(ExportMetadata, IntegerGridsHaveNoPlaceInGguf) {
  const Model model = fixture_model("llama");
  EXPECT_THROW(gguf_file_bytes(model, plan_uniform(model, "int4:g32"), small_tokenizer()), Error);
}

}  // namespace
}  // namespace vernier
