#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/json.h"
#include "base/output_file.h"
#include "support/expect_error.h"
#include "support/models.h"
#include "support/scratch.h"
#include "vernier/error.h"
#include "vernier/export.h"
#include "vernier/planning.h"

namespace vernier {
namespace {

const Target& hugging_face() { return find_target("huggingface"); }

TEST(HuggingFaceTarget, TheDirectoryOfValuesLoadsAgain) {
  for (const std::string& name : fixture_names()) {
    const Model model = fixture_model(name);
    const Calibration calibration = calibrate(model, made_up_windows(2, 16, 320));
    const QuantizedModel q = quantize(model, calibration, plan_uniform(model, "int4:g32"), 1);
    const auto folder = scratch_path("vernier_dequantized_test");
    export_model(hugging_face(), q, {}, folder);
    const Model loaded = load_model(folder.string());
    for (const TensorId& id : loaded.tensors())
      EXPECT_TRUE(at::equal(loaded.weight(id), q.values(id))) << name << " " << name_of(id);
    std::filesystem::remove_all(folder);
  }
}

// Every kind of scale: of a tensor, a channel, a block, groups, and of groups and a tensor.
TEST(HuggingFaceTarget, FloatFormatsComeBackAsTheirValues) {
  const Model model = load_model((source_dir() / "models/demo-5m").string());
  const std::string recipe =
      "L0.attn_q = fp8:e4m3:tensor\nL0 = fp8:e4m3:channel\nL1 = fp8:e4m3:b128\nL2.ffn = nvfp4\nL2 = mxfp4\n"
      "L3 = int8:channel:sym7\n.* = f16\n";
  const Plan plan = plan_from_recipe(model, parse_recipe(recipe, "recipe"), "floats", "huggingface");
  const QuantizedModel q = quantize(model, calibrate(model, made_up_windows(2, 16, 320)), plan, 2);
  const auto folder = scratch_path("vernier_float_formats");
  export_model(hugging_face(), q, {}, folder);
  const Model loaded = load_model(folder.string());
  for (const TensorId& id : loaded.matrices()) {
    EXPECT_TRUE(at::equal(loaded.weight(id), q.values(id))) << name_of(id);
    const at::Tensor weight = model.weight(id).contiguous();
    const double error = (q.values(id) - weight).norm().item<double>() / weight.norm().item<double>();
    EXPECT_LT(error, 0.15) << name_of(id) << " in " << q.schemes().at(id).name();
  }
  std::filesystem::remove_all(folder);
}

// Read as tied because there is no output matrix; what is written says so, since other readers would make one up.
TEST(HuggingFaceTarget, TheDirectoryOfValuesSaysThatTheOutputMatrixIsTied) {
  namespace fs = std::filesystem;
  const fs::path source = scratch_path("vernier_untold_tie"), folder = scratch_path("vernier_told_tie");
  fs::copy(source_dir() / "tests/fixtures/models/llama3_rope_tied", source, fs::copy_options::recursive);
  Json config = read_json(source / "config.json");
  config.erase("tie_word_embeddings");
  write_json(source / "config.json", config);
  const Model model = load_model(source.string());
  EXPECT_FALSE(model.source().warnings.empty());
  const Calibration calibration = calibrate(model, made_up_windows(2, 16, 320));
  export_model(hugging_face(), quantize(model, calibration, plan_uniform(model, "f16"), 1), {}, folder);
  EXPECT_EQ(read_json(folder / "config.json")["tie_word_embeddings"], true);
  EXPECT_TRUE(load_model(folder.string()).source().warnings.empty());
  fs::remove_all(source);
  fs::remove_all(folder);
}

TEST(HuggingFaceTarget, EveryByteInTheFolderIsForetold) {
  namespace fs = std::filesystem;
  const fs::path source = scratch_path("vernier_sized_source"), folder = scratch_path("vernier_sized");
  fs::copy(source_dir() / "tests/fixtures/models/llama", source, fs::copy_options::recursive);
  write_file(source / "tokenizer_config.json", "{}");
  write_file(source / "additional_chat_templates/rag.jinja", "{{ documents }}");
  write_file(source / "additional_chat_templates/notes.txt", "not a template");
  const Model model = load_model(source.string());
  Plan plan = plan_uniform(model, "int4:g32:asym", "huggingface");
  plan.method = "nearest";
  const uint64_t bytes = hugging_face().file_bytes(model, plan, {}, {});
  export_model(hugging_face(), quantize(model, {}, plan, 1), {}, folder);
  uint64_t written = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) written += entry.file_size();
  EXPECT_EQ(written, bytes);
  EXPECT_EQ(read_file(folder / "additional_chat_templates/rag.jinja"), "{{ documents }}");
  EXPECT_FALSE(fs::exists(folder / "additional_chat_templates/notes.txt"));
  const Plan beside = plan_from_json(read_json(folder / "vernier_plan.json"), "vernier_plan.json");
  EXPECT_EQ(beside.method, "nearest");
  EXPECT_EQ(beside.target, "huggingface");
  uint64_t norms = 0;
  for (const TensorId& id : model.tensors())
    if (!is_matrix(id.role)) norms += 4 * static_cast<uint64_t>(model.weight(id).numel());
  EXPECT_EQ(hugging_face().counted_bytes(model, plan, {}, {}), plan.tensor_bytes + norms)
      << "a budget bounds the schemes, not the values";
  fs::remove_all(source);
  fs::remove_all(folder);
}

TEST(HuggingFaceTarget, AGgufFileIsNoDirectoryToStartFrom) {
  const Model model = fixture_model("llama");
  ModelSource source = model.source();
  source.gguf = true;
  Model changed(model.config(), source);
  for (const TensorId& id : model.tensors()) changed.set_weight(id, model.weight(id));
  try {
    hugging_face().file_bytes(changed, plan_uniform(changed, "int4", "huggingface"), {}, {});
    ADD_FAILURE() << "accepted";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kInvalidArgument);
    EXPECT_THAT(e.what(), ::testing::HasSubstr("start from the Hugging Face directory"));
  }
}

TEST(HuggingFaceTarget, AFolderOfAnotherModelIsLeftAsItIs) {
  namespace fs = std::filesystem;
  const fs::path folder = scratch_path("vernier_foreign_folder");
  fs::remove_all(folder);
  fs::create_directories(folder);
  write_file(folder / "model-00001-of-00002.safetensors", "theirs");
  const Model model = fixture_model("llama");
  const QuantizedModel q =
      quantize(model, calibrate(model, made_up_windows(2, 16, 320)), plan_uniform(model, "int4:g32"), 1);
  expect_error(ErrorKind::kInvalidArgument, {"another model", "model-00001-of-00002.safetensors", "new folder"},
               [&] { export_model(hugging_face(), q, {}, folder); });
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), {}), 1);
  fs::remove(folder / "model-00001-of-00002.safetensors");
  export_model(hugging_face(), q, {}, folder);
  export_model(hugging_face(), q, {}, folder);  // its own is replaced
  EXPECT_TRUE(fs::exists(folder / "model.safetensors"));
  fs::remove_all(folder);
}

TEST(HuggingFaceTarget, WhatIsNoNumberIsNotWritten) {
  Model model = fixture_model("llama");
  Plan plan = plan_uniform(model, "int8:channel", "huggingface");
  plan.method = "nearest";
  const TensorId norm = parse_tensor("output_norm");
  model.set_weight(norm, at::full_like(model.weight(norm), INFINITY));
  const auto folder = scratch_path("vernier_infinite_norm");
  expect_error(ErrorKind::kBadFile, {"output_norm", "inf", "finite"},
               [&] { export_model(hugging_face(), quantize(model, {}, plan, 1), {}, folder); });
  EXPECT_FALSE(std::filesystem::exists(folder / "model.safetensors"));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace vernier
