#include "vernier/quantize.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "support/expect_error.h"
#include "support/models.h"
#include "vernier/planning.h"
#include "vernier/quantize_tensor.h"

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
      const StoredMatrix stored = q.stored(id);
      bytes += stored.bytes().nbytes();
      const at::Tensor direct =
          quantize_values(stored.scheme(), model.weight(id), calibration.importance(model, id), 1, "");
      EXPECT_TRUE(at::equal(direct, q.values(id))) << scheme << " " << name_of(id);
    }
    EXPECT_EQ(bytes, plan.tensor_bytes) << scheme;
  }
}

TEST(Quantize, InMemoryIsWhatItStores) {
  const Model model = fixture_model("qwen2");
  const QuantizedModel q =
      quantize(model, calibrate(model, made_up_windows(2, 16, 320)), plan_uniform(model, "gguf:q5_0"), 2);
  const Model made = q.in_memory();
  EXPECT_EQ(made.tensors(), model.tensors());
  for (const TensorId& id : model.tensors()) {
    EXPECT_TRUE(at::equal(made.weight(id), q.values(id))) << name_of(id);
    EXPECT_EQ(made.stored(id) != nullptr, is_matrix(id.role)) << name_of(id);
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
    EXPECT_TRUE(at::equal(q.stored(id).bytes(), model.stored(id)->bytes())) << name_of(id);
  EXPECT_EQ(q.in_memory().stored_bytes(), model.stored_bytes());
}

TEST(Quantize, TellsWhatASearchLeavesOfWhatItWasAskedFor) {
  const Model model = fixture_model("gpt2");
  const Calibration calibration = calibrate(model, made_up_windows(6, 32, 320));
  const auto of = [&](const char* method) {
    Plan plan = plan_uniform(model, "int3:g32:asym", "huggingface");
    plan.method = method;
    return quantize(model, calibration, plan, 2);
  };
  const QuantizedModel searched = of("auto");
  EXPECT_TRUE(searched.search_effect().left.empty()) << "before anything is searched";
  searched.in_memory();
  const SearchEffect effect = searched.search_effect();
  EXPECT_EQ(effect.method, "auto");
  EXPECT_EQ(effect.model_hash, model_hash(model));
  size_t undone = 0;
  for (const TensorId& id : model.matrices()) {
    if (id.layer < 0) continue;
    ASSERT_TRUE(effect.left.contains(id)) << name_of(id);
    EXPECT_GT(effect.left.at(id), 0) << name_of(id);
    EXPECT_LT(effect.left.at(id), 1.5) << name_of(id) << ": judged against rounding by importance";
    undone += effect.left.at(id) < 0.9;
  }
  EXPECT_GT(undone, 0U);
  const QuantizedModel fed_back = of("gptq");
  fed_back.in_memory();
  EXPECT_TRUE(fed_back.search_effect().left.empty()) << "which looks at nothing that it is not made from";
  const Json json = search_effect_to_json(effect);
  EXPECT_EQ(search_effect_from_json(parse_json(json.dump(), "effect.json"), "effect.json").left, effect.left);
  const auto broken = [&](const std::string& says, const auto& breaks) {
    Json other = json;
    breaks(other);
    expect_error(ErrorKind::kBadFile, {"effect.json", says}, [&] { search_effect_from_json(other, "effect.json"); });
  };
  broken("vernier run", [](Json& j) { j["kind"] = "plan"; });
  broken("schema_version 9", [](Json& j) { j["schema_version"] = 9; });
  broken("array", [](Json& j) { j["matrices"] = 3; });
  broken("share >= 0", [](Json& j) { j["matrices"][0]["left"] = -1; });
  broken("twice", [](Json& j) { j["matrices"].push_back(j["matrices"][0]); });
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

}  // namespace
}  // namespace vernier
