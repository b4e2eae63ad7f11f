// Values of models that see, searched by what their images and texts put into their matrices.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "calibrate/gram_pass.h"
#include "engine/engine.h"
#include "quantize/fold.h"
#include "quantize/guard.h"
#include "support/expect_error.h"
#include "support/vision_models.h"
#include "vernier/planning.h"
#include "vernier/quantize.h"

namespace vernier {
namespace {

/// A stack on its own, with what it is given.
struct OwnStack {
  Model model;
  Calibration calibration;
  Stack stack;
};

std::vector<OwnStack> own_stacks(const Model& model, const Calibration& calibration) {
  if (model.config().stacks.empty()) return {{model, calibration, Stack::kOnly}};
  std::vector<OwnStack> all;
  for (const ModelConfig& config : model.config().stacks)
    all.push_back({stack_of(model, config.stack), stack_of(calibration, config.stack), config.stack});
  return all;
}

/// Of the first image or text.
std::vector<float> answer_of(const Model& stack, const VisionInputs& inputs) {
  const auto ready = make_engine({.threads = 1})->prepare_answers(stack, {.positions = 64});
  if (!stack.config().reads_images()) return ready->answer(0, std::span<const int32_t>(inputs.texts.front()));
  const std::vector<float> pixels = inputs.pixels(0);
  return ready->answer(0, std::span<const float>(pixels));
}

TEST(VisionValueSearches, FoldsLeaveTheAnswersOfEveryStack) {
  for (const std::string& name : vision_fixture_names()) {
    const Model whole = to_float32(load_model(vision_fixture(name).string()));
    const VisionInputs inputs = golden_answer_data(whole, name).inputs;
    for (const OwnStack& own : own_stacks(whole, {})) {
      Model folded = own.model;
      size_t folds = 0;
      at::manual_seed(3);
      for (int layer = 0; layer < own.model.config().depth(); ++layer)
        for (const FoldSite& fold : fold_sites(own.model, layer)) {
          const int64_t channels = own.model.shape(fold.consumers.front())[1];
          apply_fold(folded, fold, shared_scales(fold, at::randn({channels}).exp()));
          ++folds;
        }
      EXPECT_GE(folds, 3U * static_cast<size_t>(own.model.config().depth())) << name;
      const std::vector<float> before = answer_of(own.model, inputs), after = answer_of(folded, inputs);
      EXPECT_LT(relative_distance(at::tensor(after), at::tensor(before)), 1e-5) << name << ": float32 rounds otherwise";
    }
  }
}

/// Errors at the outputs of a layer's matrices, over all parts of what was calibrated on.
double error_at_outputs(const Model& model, const Calibration& calibration, const QuantizedModel& quantized) {
  double sum = 0;
  for (const OwnStack& own : own_stacks(model, calibration)) {
    GramPass pass(own.model, own.calibration, 1);
    for (const TensorId& id : own.model.matrices()) {
      const auto site = own.model.blueprint().at(id).input;
      const InputGrams* grams = site ? pass.at(*site) : nullptr;
      if (grams == nullptr) continue;
      TensorId in_model = id;
      in_model.stack = own.stack;
      const at::Tensor error = quantized.values(in_model) - own.model.weight(id).to(at::kFloat);
      for (const at::Tensor& gram : grams->parts) sum += output_error(error, gram);
    }
  }
  return sum;
}

TEST(VisionValueSearches, OutputsErrLessThanRounded) {
  for (const char* name : {"vit", "clip"}) {
    const Model model = load_model(vision_fixture(name).string());
    const Calibration calibration = calibrate_vision(model, golden_answer_data(model, name).inputs);
    const auto error = [&](const char* method) {
      Plan plan = plan_uniform(model, "int3:channel:sym", "huggingface");
      plan.method = method;
      return error_at_outputs(model, calibration, quantize(model, calibration, plan, 2));
    };
    const double nearest = error("nearest");
    for (const char* method : {"gptq", "coordinate"}) EXPECT_LT(error(method), nearest) << name << method;
  }
}

TEST(VisionValueSearches, BytesDependNeitherOnTheThreadsNorOnWhatIsAskedForFirst) {
  for (const char* name : {"deit_distilled", "clip"}) {
    const Model model = load_model(vision_fixture(name).string());
    const Calibration calibration = calibrate_vision(model, golden_answer_data(model, name).inputs);
    for (const char* method : {"gptq", "awq", "auto"}) {
      Plan plan = plan_uniform(model, "int3:channel:sym", "huggingface");
      plan.method = method;
      const Model made = quantize(model, calibration, plan, 1).in_memory();
      const QuantizedModel other = quantize(model, calibration, plan, 3);
      const std::vector<TensorId> ids = model.tensors();
      for (auto id = ids.rbegin(); id != ids.rend(); ++id)
        EXPECT_TRUE(at::equal(other.values(*id), made.weight(*id))) << name << method << " " << name_of(*id);
    }
  }
}

TEST(VisionValueSearches, WhatLearnsFromTextIsRefused) {
  const Model model = load_model(vision_fixture("vit").string());
  Plan plan = plan_uniform(model, "int3:channel:sym", "huggingface");
  plan.method = "learned";
  expect_error(ErrorKind::kUnsupported, {"learned is of language models", "choose auto"},
               [&] { quantize(model, {}, plan, 1); });
}

}  // namespace
}  // namespace vernier
