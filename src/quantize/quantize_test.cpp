#include "vernier/quantize.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/json.h"
#include "model/requantize.h"
#include "support/expect_error.h"
#include "support/models.h"
#include "support/scratch.h"
#include "vernier/planning.h"

namespace vernier {
namespace {

TEST(Quantize, StoredBytesDecodeToTheValuesAndHaveThePlannedSize) {
  const Model model = fixture_model("qwen3");
  const Calibration calibration = calibrate(model, made_up_windows(2, 16, 320));
  for (const char* scheme : {"gguf:q8_0", "gguf:q4_0", "int4:g32:asym", "int3:channel", "int8:tensor", "f16"}) {
    const Plan plan = plan_uniform(model, scheme);
    const QuantizedModel q = quantize(model, calibration, plan, 2);
    uint64_t bytes = 0;
    for (const TensorId& id : model.matrices()) {
      const StoredMatrix& stored = *q.model.stored(id);
      bytes += stored.bytes().nbytes();
      const at::Tensor direct =
          quantize_values(stored.scheme(), model.weight(id), calibration.importance(model, id), 1, "");
      EXPECT_TRUE(at::equal(direct, q.model.weight(id))) << scheme << " " << name_of(id);
    }
    EXPECT_EQ(bytes, plan.tensor_bytes) << scheme;
  }
}

// Decoded values encoded again would not give the same bytes.
TEST(Quantize, WhatIsStoredInItsSchemeAlreadyIsKeptByteForByte) {
  Model model = fixture_model("llama");
  const Calibration plain = calibrate(model, made_up_windows(2, 16, 320));
  for (const TensorId& id : model.matrices())
    model.set_stored(id, requantize(model, id, Scheme::parse("gguf:q4_1"), plain.importance(model, id), 1));
  const Calibration calibration = calibrate(model, made_up_windows(2, 16, 320));
  const QuantizedModel q = quantize(model, calibration, plan_as_stored(model, "source"), 2);
  for (const TensorId& id : model.matrices())
    EXPECT_TRUE(at::equal(q.model.stored(id)->bytes(), model.stored(id)->bytes())) << name_of(id);
  EXPECT_EQ(q.model.stored_bytes(), model.stored_bytes());
}

TEST(Quantize, PlansThatDoNotFitTheModelAreRefused) {
  const Model model = fixture_model("llama");
  const Calibration calibration = calibrate(model, made_up_windows(2, 16, 320));
  Plan missing = plan_uniform(model, "gguf:q8_0");
  const std::string last = missing.entries.back().tensor;
  missing.entries.pop_back();
  const auto expect_refused = [&](const std::string& part, const Plan& plan) {
    expect_error(ErrorKind::kInvalidArgument, {"quantize: ", part}, [&] { quantize(model, calibration, plan, 1); });
  };
  expect_refused("the plan leaves out " + last, missing);
  Plan twice = plan_uniform(model, "gguf:q8_0");
  twice.entries.push_back(twice.entries[0]);
  expect_refused("the plan names " + twice.entries[0].tensor + " twice", twice);
  expect_refused("the plan is of another model", plan_uniform(fixture_model("rope_linear"), "gguf:q8_0"));
  at::Tensor broken = model.weight({TensorRole::kFfnUp, 1}).clone();
  broken[3][5] = NAN;
  expect_error(ErrorKind::kInvalidArgument, {"L1.ffn_up", "row 3, column 5"},
               [&] { quantize_values(Scheme::parse("gguf:q8_0"), broken, {}, 1, "L1.ffn_up"); });
}

TEST(Quantize, TheDirectoryOfValuesLoadsAgain) {
  const Model model = fixture_model("llama3_rope_tied");
  const Calibration calibration = calibrate(model, made_up_windows(2, 16, 320));
  const QuantizedModel q = quantize(model, calibration, plan_uniform(model, "int4:g32"), 1);
  const auto folder = scratch_path("vernier_dequantized_test");
  save_dequantized(q, folder);
  const Model loaded = load_model(folder.string());
  EXPECT_EQ(loaded.tensors(), model.tensors());
  for (const TensorId& id : loaded.tensors()) EXPECT_TRUE(at::equal(loaded.weight(id), q.model.weight(id)));
  std::filesystem::remove_all(folder);
}

// Read as tied because there is no output matrix; what is written says so, since other readers would make one up.
TEST(Quantize, TheDirectoryOfValuesSaysThatTheOutputMatrixIsTied) {
  namespace fs = std::filesystem;
  const fs::path source = scratch_path("vernier_untold_tie"), folder = scratch_path("vernier_told_tie");
  fs::copy(source_dir() / "tests/fixtures/models/llama3_rope_tied", source, fs::copy_options::recursive);
  Json config = read_json(source / "config.json");
  config.erase("tie_word_embeddings");
  write_json(source / "config.json", config);
  const Model model = load_model(source.string());
  EXPECT_FALSE(model.source().warnings.empty());
  const Calibration calibration = calibrate(model, made_up_windows(2, 16, 320));
  save_dequantized(quantize(model, calibration, plan_uniform(model, "f16"), 1), folder);
  EXPECT_EQ(read_json(folder / "config.json")["tie_word_embeddings"], true);
  EXPECT_TRUE(load_model(folder.string()).source().warnings.empty());
  fs::remove_all(source);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace vernier
