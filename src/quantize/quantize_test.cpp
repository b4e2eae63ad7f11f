#include "vernier/quantize.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

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
