#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/output_file.h"
#include "format/gguf_file.h"
#include "format/gguf_tokenizer.h"
#include "format/gguf_writer.h"
#include "support/expect_error.h"
#include "support/models.h"
#include "support/scratch.h"
#include "support/small_tokenizer.h"
#include "support/warnings.h"
#include "vernier/export.h"
#include "vernier/planning.h"

namespace vernier {
namespace {

const Target& llama_cpp() { return find_target("llama.cpp"); }

void export_gguf(const QuantizedModel& quantized, const TokenizerModel& tokenizer, const std::filesystem::path& path,
                 ProgressSink* progress = nullptr) {
  export_model(llama_cpp(), quantized, tokenizer, path, {}, progress);
}

uint64_t gguf_file_bytes(const Model& model, const Plan& plan, const TokenizerModel& tokenizer,
                         const ExportOptions& options = {}) {
  return llama_cpp().file_bytes(model, plan, tokenizer, options);
}

std::string gguf_header_hash(const Model& model, const Plan& plan, const TokenizerModel& tokenizer) {
  return llama_cpp().header_hash(model, plan, tokenizer, {});
}

class Export : public ::testing::TestWithParam<std::string> {
 protected:
  std::filesystem::path file_ = scratch_path(std::string("vernier_export_") + GetParam());
  void TearDown() override { std::filesystem::remove(file_); }
};

QuantizedModel quantized(const Model& model, const char* scheme) {
  return quantize(model, calibrate(model, made_up_windows(2, 16, 320)), plan_uniform(model, scheme), 1);
}

// Rotary reordering, rotary scaling, biases, head norms and tied embeddings survive the way out and back.
TEST_P(Export, OurOwnReaderGetsTheSameModel) {
  const Model model = fixture_model(GetParam());
  const QuantizedModel q =
      quantize(model, calibrate(model, made_up_windows(2, 16, 320)), plan_uniform(model, "gguf:q8_0"), 1);
  const TokenizerModel tokenizer = small_tokenizer();
  Warnings warnings;
  export_gguf(q, tokenizer, file_, &warnings);
  EXPECT_EQ(std::filesystem::file_size(file_), gguf_file_bytes(model, q.plan(), tokenizer));
  const bool window = GetParam() == "mistral_sliding";
  EXPECT_EQ(warnings.all.size(), window ? 1u : 0u);

  const Model loaded = load_model(file_.string());
  for (const TensorId& id : loaded.tensors()) EXPECT_TRUE(at::equal(loaded.weight(id), q.values(id))) << name_of(id);
  EXPECT_EQ(loaded.tensors(), model.tensors());
  if (window) {
    EXPECT_EQ(loaded.config().context_length, 16);
    return;  // the file has no window any more, so longer texts differ, as they do in llama.cpp
  }
  const TokenWindow text = made_up_windows(1, 60, 320).windows[0];
  const at::Tensor ours = exact_log_p(q.in_memory(), text), theirs = exact_log_p(loaded, text);
  EXPECT_LT((ours - theirs).abs().max().item<double>(), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Models, Export, ::testing::ValuesIn(fixture_names()),
                         [](const auto& info) { return info.param; });

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
  EXPECT_THAT(file.get_string("vernier.recipe"), ::testing::ContainsRegex("\\^blk.*\\.weight\\$ = +gguf:q8_0\n"))
      << "by the names in the file, without reasons";
  EXPECT_THAT(file.get_string("vernier.recipe"), ::testing::StartsWith("# values by  importance\n"));
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

// Quantizing a quantized file again must not lose who made the model, under what licence, and where answers end.
TEST(ExportMetadata, AnotherExportKeepsWhatTheFileSaysOfItself) {
  const Model model = fixture_model("llama");
  TokenizerModel tokenizer = small_tokenizer();
  tokenizer.special_ids = {{"padding", 2}, {"eot", 3}, {"fim_pre", 4}};
  tokenizer.named_templates = {{"tool_use", "T"}};
  const auto path = scratch_path("vernier_export_first.gguf"), again = scratch_path("vernier_export_again.gguf");
  export_gguf(quantized(model, "f16"), tokenizer, path);
  {
    // The same file with what a converter says of the model.
    const GgufFile file(path);
    GgufWriter writer;
    for (const GgufKeyValue& entry : file.values())
      if (entry.key != "general.name") writer.set(entry.key, entry.value);
    writer.set("general.name", std::string("Tiny Llama"));
    writer.set("general.license", std::string("apache-2.0"));
    writer.set("general.base_model.0.name", std::string("Base"));
    for (const GgufTensor& tensor : file.tensors()) writer.add_tensor(tensor.name, tensor.type->id, tensor.shape);
    writer.write(again, [&](size_t index, const ByteSink& append) { append(file.tensors()[index].data); });
  }
  const Model source = load_model(again.string());
  const TokenizerModel read = load_tokenizer_of(again);
  EXPECT_EQ(read.special_ids, tokenizer.special_ids);
  export_gguf(quantized(source, "gguf:q8_0"), read, path);
  EXPECT_EQ(std::filesystem::file_size(path), gguf_file_bytes(source, plan_uniform(source, "gguf:q8_0"), read));
  const GgufFile file(path);
  EXPECT_EQ(file.get_string("general.name"), "Tiny Llama");
  EXPECT_EQ(file.get_string("general.license"), "apache-2.0");
  EXPECT_EQ(file.get_string("general.base_model.0.name"), "Base");
  EXPECT_EQ(file.get_string("tokenizer.chat_template.tool_use"), "T");
  EXPECT_EQ(read_tokenizer(file).special_ids, tokenizer.special_ids);
  for (const auto& file_path : {path, again}) std::filesystem::remove(file_path);
}

// Such a tokenizer says itself whether a space is put in front: the file must not say it twice.
TEST(ExportMetadata, AFileOfPiecesIsExportedAgain) {
  const Model model = fixture_model("llama");
  TokenizerModel tokenizer =
      load_tokenizer_model(std::filesystem::path(VERNIER_SOURCE_DIR) / "tests/fixtures/tokenizers/pieces");
  tokenizer.tokens.resize(300);
  tokenizer.scores.resize(300);
  tokenizer.space_prefix = SpacePrefix::kNone;
  const auto path = scratch_path("vernier_export_pieces.gguf"), again = scratch_path("vernier_export_again.gguf");
  export_gguf(quantized(model, "f16"), tokenizer, path);
  export_gguf(quantized(load_model(path.string()), "gguf:q8_0"), load_tokenizer_of(path), again);
  TokenizerModel read = read_tokenizer(GgufFile(again));
  read.scores.resize(300);  // the model has 320
  EXPECT_EQ(read.scores, tokenizer.scores);
  EXPECT_EQ(read.space_prefix, SpacePrefix::kNone);
  for (const auto& file : {path, again}) std::filesystem::remove(file);
}

// llama.cpp's gguf-split makes such files; every part stands for the model.
TEST(ExportMetadata, ASplitFileIsOneModel) {
  const Model model = fixture_model("llama");
  const auto folder = scratch_path("vernier_export_split");
  std::filesystem::create_directories(folder);
  const auto whole = folder / "whole.gguf", first = folder / "m-00001-of-00002.gguf",
             second = folder / "m-00002-of-00002.gguf";
  export_gguf(quantized(model, "f16"), small_tokenizer(), whole);
  const GgufFile file(whole);
  for (const uint16_t part : {uint16_t{0}, uint16_t{1}}) {
    GgufWriter writer;
    if (part == 0)
      for (const GgufKeyValue& entry : file.values()) writer.set(entry.key, entry.value);
    writer.set("split.no", part);
    writer.set("split.count", uint16_t{2});
    writer.set("split.tensors.count", static_cast<int32_t>(file.tensors().size()));
    std::vector<const GgufTensor*> mine;
    for (const GgufTensor& tensor : file.tensors())
      if (tensor.name.starts_with("blk.") == (part == 1)) mine.push_back(&tensor);
    for (const GgufTensor* tensor : mine) writer.add_tensor(tensor->name, tensor->type->id, tensor->shape);
    writer.write(part == 0 ? first : second, [&](size_t index, const ByteSink& append) { append(mine[index]->data); });
  }
  const std::string hash = model_hash(load_model(whole.string()));
  for (const auto& part : {first, second}) {
    const Model loaded = load_model(part.string());
    EXPECT_EQ(model_hash(loaded), hash);
    EXPECT_EQ(loaded.source().path, first) << "the same model whichever part was named";
    EXPECT_EQ(load_tokenizer_of(part).tokens.size(), 320u);
    EXPECT_THAT(files_of_model(part.string()), ::testing::UnorderedElementsAre(first, second));
  }
  std::filesystem::remove(first);
  EXPECT_THAT(files_of_model(second.string()), ::testing::ElementsAre(second)) << "only what is there";
  std::filesystem::remove_all(folder);
}

// Where the tokenizer's end is not the model's, llama.cpp would run on; what it cannot be told is said.
TEST(ExportMetadata, LossesOfTheTokenizerAreWarnings) {
  const Model model = fixture_model("llama");
  TokenizerModel tokenizer = small_tokenizer();
  tokenizer.eos_id.reset();
  tokenizer.nfc = true;
  Warnings warnings;
  const auto path = scratch_path("vernier_export_losses.gguf");
  export_gguf(quantized(model, "f16"), tokenizer, path, &warnings);
  EXPECT_THAT(warnings.all, ::testing::ElementsAre(::testing::HasSubstr("no end of sequence is named"),
                                                   ::testing::HasSubstr("normalization to form C")));
  EXPECT_EQ(warnings.all, gguf_tokenizer_losses(tokenizer));
  std::filesystem::remove(path);
}

TEST(ExportMetadata, AnUnknownPreTokenizerNamesTheOption) {
  const Model model = fixture_model("llama");
  TokenizerModel tokenizer = small_tokenizer();
  tokenizer.pre_tokenizer.splits[0].pattern = "[a-z]+";
  expect_error(ErrorKind::kUnsupported, {"--tokenizer-pre"},
               [&] { gguf_file_bytes(model, plan_uniform(model, "f16"), tokenizer); });
  const auto bytes_under = [&](const TokenizerModel& of, const char* name, bool unchecked) {
    return gguf_file_bytes(model, plan_uniform(model, "f16"), of,
                           {.tokenizer_pre = name, .tokenizer_pre_unchecked = unchecked});
  };
  expect_error(ErrorKind::kInvalidArgument, {"--tokenizer-pre-unchecked"},
               [&] { bytes_under(tokenizer, "llama-bpe", false); });
  EXPECT_GT(bytes_under(tokenizer, "llama-bpe", true), 0u);
  EXPECT_GT(bytes_under(small_tokenizer(), "llama-bpe", false), 0u);
}

/// As llama-quantize writes the switch of a shared expert.
TEST(ExportMetadata, AMatrixOfOneRowMayBeAVector) {
  const Model model = fixture_model("qwen2_moe");
  const std::filesystem::path path = scratch_path("one_row.gguf"), vector = scratch_path("one_row_vector.gguf");
  export_gguf(quantized(model, "gguf:q8_0"), small_tokenizer(), path);
  {
    const GgufFile file(path);
    GgufWriter writer;
    for (const auto& [key, value] : file.values()) writer.set(key, value);
    int changed = 0;
    for (const GgufTensor& tensor : file.tensors()) {
      const bool one_row = tensor.shape.size() == 2 && tensor.shape[0] == 1;
      changed += one_row ? 1 : 0;
      writer.add_tensor(tensor.name, tensor.type->id, one_row ? std::vector{tensor.shape[1]} : tensor.shape);
    }
    EXPECT_EQ(changed, model.config().depth());
    writer.write(vector, [&](size_t i, const ByteSink& append) { append(file.tensors()[i].data); });
    EXPECT_EQ(model_hash(load_model(vector.string())), model_hash(load_model(path.string())));
  }
  std::filesystem::remove(path);
  std::filesystem::remove(vector);
}

TEST(ExportMetadata, WhatLlamaCppHasNoPlaceForIsRefused) {
  const auto expect_unsupported = [](const char* fixture, const char* part, auto&& change) {
    const Model model = fixture_model(fixture);
    ModelConfig config = model.config();
    change(config);
    Model changed(config, model.source());
    for (const TensorId& id : model.tensors())
      if (changed.blueprint().find(id) != nullptr) changed.set_weight(id, model.weight(id));
    expect_error(ErrorKind::kUnsupported, {part},
                 [&] { gguf_file_bytes(changed, plan_uniform(changed, "f16"), small_tokenizer()); });
  };
  expect_unsupported("rope_yarn", "beta_fast 4", [](ModelConfig& c) { c.rope.beta_fast = 4; });
  expect_unsupported("rope_yarn", "beta_slow 2", [](ModelConfig& c) { c.rope.beta_slow = 2; });
  expect_unsupported("rope_yarn", "truncate false", [](ModelConfig& c) { c.rope.truncate = false; });
  expect_unsupported("qwen3", "attn_output.bias", [](ModelConfig& c) { c.layers[0].attention.output_bias = true; });
  expect_unsupported("olmo2", "attn_q.bias", [](ModelConfig& c) { c.layers[0].attention.qkv_bias = true; });
  expect_unsupported("olmo2", "output.weight", [](ModelConfig& c) { c.tied_embedding = true; });
  expect_unsupported("olmo2", "attention.key_length is 8", [](ModelConfig& c) { c.layers[0].attention.head_dim = 8; });
  expect_unsupported("gemma2", "always caps", [](ModelConfig& c) { c.logit_soft_cap = 0; });
  expect_unsupported("gemma2", "always takes the embedding", [](ModelConfig& c) { c.tied_embedding = false; });
  expect_unsupported("gemma2", "no layer has a window", [](ModelConfig& c) {
    for (LayerConfig& layer : c.layers) layer.attention.window = 0;
  });
  expect_unsupported("gemma3", "attn_output.bias", [](ModelConfig& c) { c.layers[0].attention.output_bias = true; });
  expect_unsupported("gemma3", "GELU", [](ModelConfig& c) { c.layers[0].feed_forward.activation = Activation::kSilu; });
  expect_unsupported("gemma3", "scaled by 0.5", [](ModelConfig& c) { c.layers[0].attention.scale = 0.5; });
  expect_unsupported("gemma3", "layer 3 has a window of 8", [](ModelConfig& c) { c.layers[3].attention.window = 8; });
  expect_unsupported("gemma3", "layer 5 has a window of 20", [](ModelConfig& c) { c.layers[5].attention.window = 20; });
  expect_unsupported("gemma3", "is bent", [](ModelConfig& c) { c.window_rope->kind = RopeConfig::Kind::kLinear; });
  expect_unsupported("olmo3", "layer 3 has a window of 20", [](ModelConfig& c) { c.layers[3].attention.window = 20; });
  expect_unsupported("olmo3", "is bent", [](ModelConfig& c) { c.window_rope->kind = RopeConfig::Kind::kLinear; });
  expect_unsupported("olmo3", "takes one", [](ModelConfig& c) { c.window_rope->theta = 1e4; });
  expect_unsupported("olmo3", "no layer has a window", [](ModelConfig& c) {
    for (LayerConfig& layer : c.layers) layer.attention.window = 0;
  });
  expect_unsupported("smollm3", "layer 0 is not rotated", [](ModelConfig& c) { c.layers[0].attention.rotary = false; });
  expect_unsupported("smollm3", "attn_output.bias", [](ModelConfig& c) { c.layers[0].attention.output_bias = true; });
  expect_unsupported("qwen3_moe", "norm_topk_prob is false",
                     [](ModelConfig& c) { c.layers[1].feed_forward.experts.normalize = false; });
  expect_unsupported("qwen3_moe", "attn_output.bias", [](ModelConfig& c) { c.layers[0].attention.output_bias = true; });
  expect_unsupported("qwen3_moe", "layer 1 has no experts",
                     [](ModelConfig& c) { c.layers[1].feed_forward.experts = {}; });
  expect_unsupported("qwen2_moe", "norm_topk_prob is true",
                     [](ModelConfig& c) { c.layers[0].feed_forward.experts.normalize = true; });
  expect_unsupported("qwen2_moe", "requires biases", [](ModelConfig& c) { c.layers[0].attention.qkv_bias = false; });
  expect_unsupported("olmoe", "output.weight", [](ModelConfig& c) { c.tied_embedding = true; });
  expect_unsupported("olmoe", "key/value heads", [](ModelConfig& c) { c.layers[0].attention.kv_heads = 2; });
  for (const char* fixture : {"qwen2", "qwen3"})
    expect_unsupported(fixture, "no place", [](ModelConfig& c) {
      c.rope.kind = RopeConfig::Kind::kLlama3;
      c.rope.factor = 8;
      c.rope.original_context = 64;
    });
  TokenizerModel tokenizer = small_tokenizer();
  tokenizer.prefix_ids = {5, 6};
  const Model model = fixture_model("llama");
  expect_error(ErrorKind::kUnsupported, {"puts 2 tokens before a text"},
               [&] { gguf_file_bytes(model, plan_uniform(model, "f16"), tokenizer); });
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
  expect_error(ErrorKind::kUnsupported, {"tensor blk.0.attn_x.bias is not part of"},
               [&] { load_model(path.string()); });
  std::filesystem::remove(path);
}

TEST(ExportMetadata, IntegerGridsHaveNoPlaceInGguf) {
  const Model model = fixture_model("llama");
  expect_error(ErrorKind::kInvalidArgument, {"export: ", "a GGUF file cannot hold int4:g32", "gguf:q4_k"},
               [&] { gguf_file_bytes(model, plan_uniform(model, "int4:g32"), small_tokenizer()); });
}

// One matrix in each of the types that plans do not choose from by themselves.
TEST(ExportTypes, EveryWritableTypeComesBack) {
  const Model model = load_model((source_dir() / "models/demo-5m").string());
  const std::string recipe =
      "^L0.attn_k$ = gguf:iq2_xxs\n^L0.attn_v$ = gguf:iq2_xs\n^L1.attn_k$ = gguf:iq2_s\n^L1.attn_v$ = gguf:iq3_xxs\n"
      "^L2.attn_k$ = gguf:iq3_s\n^L2.attn_v$ = gguf:iq4_xs\n^L3.attn_k$ = gguf:mxfp4\n.* = f16\n";
  const Plan plan = plan_from_recipe(model, parse_recipe(recipe, "recipe"), "types");
  const QuantizedModel q = quantize(model, calibrate(model, made_up_windows(1, 16, 320)), plan, 1);
  const auto path = scratch_path("vernier_types.gguf");
  const TokenizerModel tokenizer = load_tokenizer_of((source_dir() / "models/demo-5m").string());
  export_gguf(q, tokenizer, path);
  EXPECT_EQ(std::filesystem::file_size(path), gguf_file_bytes(model, plan, tokenizer));
  const Model loaded = load_model(path.string());
  for (const TensorId& id : loaded.matrices()) {
    EXPECT_EQ(loaded.scheme_in_file(id), q.schemes().at(id)) << name_of(id);
    EXPECT_TRUE(at::equal(loaded.weight(id), q.values(id))) << name_of(id);
  }
  std::filesystem::remove(path);
}

/// A copy of a GGUF file where one matrix has other bytes, of another type.
void replace_matrix(const std::filesystem::path& from, const std::filesystem::path& to, const std::string& name,
                    GgmlTypeId type, std::span<const std::byte> bytes) {
  const GgufFile file(from);
  GgufWriter writer;
  for (const auto& [key, value] : file.values()) writer.set(key, value);
  for (const GgufTensor& tensor : file.tensors())
    writer.add_tensor(tensor.name, tensor.name == name ? type : tensor.type->id, tensor.shape);
  writer.write(to, [&](size_t index, const ByteSink& append) {
    const GgufTensor& tensor = file.tensors()[index];
    append(tensor.name == name ? bytes : tensor.data);
  });
}

// Files of other programs: what is only read opens, is measured as it is, and stays as it is where a plan keeps it.
TEST(ExportTypes, TypesThatAreOnlyReadStayAsTheyAre) {
  const Model model = load_model((source_dir() / "models/demo-5m").string());
  const TokenizerModel tokenizer = load_tokenizer_of((source_dir() / "models/demo-5m").string());
  const auto plain = scratch_path("vernier_plain.gguf"), foreign = scratch_path("vernier_foreign.gguf"),
             again = scratch_path("vernier_again.gguf");
  export_gguf(quantize(model, calibrate(model, made_up_windows(1, 16, 320)), plan_uniform(model, "f16"), 1), tokenizer,
              plain);
  const TensorId id{TensorRole::kAttnV, 1};
  const std::vector<int64_t> shape = model.shape(id);
  for (const auto& [name, type] : {std::pair("gguf:iq1_s", kGgmlIq1S),
                                   {"gguf:iq1_m", kGgmlIq1M},
                                   {"gguf:tq1_0", kGgmlTq1_0},
                                   {"gguf:tq2_0", kGgmlTq2_0}}) {
    const Scheme scheme = Scheme::parse(name);
    std::vector<std::byte> bytes(scheme.bytes(shape[0], shape[1]));
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 7 % 31);  // small, finite scales
    replace_matrix(plain, foreign, "blk.1.attn_v.weight", type, bytes);
    const Model opened = load_model(foreign.string());
    EXPECT_EQ(opened.scheme_in_file(id), scheme);
    std::vector<float> values(static_cast<size_t>(shape[0] * shape[1]));
    decode(scheme, bytes, shape[0], shape[1], values);
    const at::Tensor weight = opened.weight(id).contiguous();
    EXPECT_TRUE(std::equal(values.begin(), values.end(), weight.data_ptr<float>())) << name;

    const Plan kept = plan_as_stored(opened, "kept");
    export_gguf(quantize(opened, calibrate(opened, made_up_windows(1, 16, 320)), kept, 1), tokenizer, again);
    const GgufFile written(again);
    const GgufTensor* tensor = written.find_tensor("blk.1.attn_v.weight");
    ASSERT_NE(tensor, nullptr);
    EXPECT_EQ(tensor->type->id, type);
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), tensor->data.begin(), tensor->data.end())) << name;
    expect_error(ErrorKind::kUnsupported, {name, "read"}, [&, name = name] {
      export_gguf(quantize(model, calibrate(model, made_up_windows(1, 16, 320)), plan_uniform(model, name), 1),
                  tokenizer, again);
    });
  }
  for (const auto& path : {plain, foreign, again}) std::filesystem::remove(path);
}

// What a number in the file cannot hold is said before anything is written.
TEST(ExportMetadata, NumbersThatAGgufFileCannotHoldAreRefused) {
  const auto exported = [](const auto& change) {
    const Model model = fixture_model("llama");
    ModelConfig config = model.config();
    change(config);
    Model other(config, model.source());
    for (const TensorId& id : model.tensors()) other.set_weight(id, model.weight(id));
    gguf_file_bytes(other, plan_uniform(other, "gguf:q8_0"), small_tokenizer());
  };
  expect_error(ErrorKind::kUnsupported, {"context_length", "4294967301"},
               [&] { exported([](ModelConfig& c) { c.context_length = 4294967301; }); });
  expect_error(ErrorKind::kUnsupported, {"rope.freq_base", "float32"},
               [&] { exported([](ModelConfig& c) { c.rope.theta = 1e300; }); });
}

}  // namespace
}  // namespace vernier
