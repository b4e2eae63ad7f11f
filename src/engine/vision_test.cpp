// Parity with Hugging Face transformers on tiny models that see, for both forwards.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "engine/aten_answers.h"
#include "engine/engine.h"
#include "engine/fused_model.h"
#include "ops/packed_linear.h"
#include "support/expect_error.h"
#include "support/vision_models.h"
#include "vernier/model.h"

namespace vernier {
namespace {

// 2 or 3 layers of float32 with 32 to 64 channels: rounding gives about 1e-6, and a wrong formula 1e-2 or more.
constexpr double kVisionTolerance = 2e-5;

class VisionParity : public ::testing::TestWithParam<std::string> {
 protected:
  bool has_texts() const { return !model_.config().stacks.empty(); }
  at::Tensor golden(const char* name) const { return tensor_in(golden_, name); }
  at::Tensor scores(const Model& model) const {
    if (has_texts())
      return compare_images_with_texts(model, golden("pixel_values"), golden("input_ids")).logits_per_image;
    return classify(model, golden("pixel_values"));
  }
  /// Answers of a stack by an engine, input after input.
  static at::Tensor answers(const std::string& device, const Model& model, const std::vector<ModelInput>& inputs,
                            int64_t positions) {
    ComputeOptions options;
    options.device = device, options.threads = 1;
    const auto ready = make_engine(options)->prepare_answers(model, {.positions = positions});
    std::vector<at::Tensor> rows;
    for (const ModelInput& input : inputs) rows.push_back(at::tensor(ready->answer(0, input)));
    return at::stack(rows);
  }
  std::vector<ModelInput> images() const {
    std::vector<ModelInput> inputs;
    for (int64_t i = 0; i < pixels_.size(0); ++i) inputs.emplace_back(pixels_of(pixels_, i));
    return inputs;
  }

  Model model_ = load_model(vision_fixture(GetParam()).string());
  SafetensorsFile golden_{vision_fixture(GetParam()) / "golden.safetensors"};
  at::Tensor pixels_ = golden("pixel_values");
};

TEST_P(VisionParity, DifferentiableAnswers) {
  if (!has_texts()) {
    EXPECT_LT(relative_distance(scores(model_), golden("logits")), kVisionTolerance);
    return;
  }
  const ImageTextAnswers answers = compare_images_with_texts(model_, pixels_, golden("input_ids"));
  EXPECT_LT(relative_distance(answers.image_embeds, golden("image_embeds")), kVisionTolerance);
  EXPECT_LT(relative_distance(answers.text_embeds, golden("text_embeds")), kVisionTolerance);
  EXPECT_LT(relative_distance(answers.logits_per_image, golden("logits_per_image")), kVisionTolerance);
}

TEST_P(VisionParity, SeveralImagesAtOnceAreAnsweredAsEach) {
  const Model sees = has_texts() ? stack_of(model_, Stack::kImage) : model_;
  ComputeOptions options;
  options.threads = 1;
  const std::pair<const char*, Activations> ways[] = {
      {"cpu", Activations::kExact}, {"cpu", Activations::parse("int8:token")}, {"aten", Activations::kExact}};
  PackedLinear product(at::ones({256, 64}), {}, ComputeType::kFloat32);
  product.keep_rows_apart();  // as those of images are
  const bool rows_apart = product.rows_are_independent();
  for (const auto& [device, activations] : ways) {
    options.device = device;
    const auto ready = make_engine(options)->prepare_answers(sees, {.activations = activations});
    std::vector<ModelInput> inputs = images();
    const std::vector<ModelInput> once = inputs;
    for (int more = 0; more < 2; ++more) inputs.insert(inputs.end(), once.begin(), once.end());
    const std::vector<std::vector<float>> together = ready->answers(0, inputs);
    ASSERT_EQ(together.size(), inputs.size());
    for (size_t i = 0; i < inputs.size(); ++i) {
      const std::vector<float> alone = ready->answer(0, inputs[i]);
      if (options.device == "cpu" && rows_apart) {
        EXPECT_EQ(together[i], alone) << i;
      } else {
        EXPECT_LT(relative_distance(at::tensor(together[i]), at::tensor(alone)), kVisionTolerance)
            << device << " " << i;
      }
    }
  }
}

TEST_P(VisionParity, AnswersOfBothEngines) {
  const Model sees = has_texts() ? stack_of(model_, Stack::kImage) : model_;
  for (const char* device : {"cpu", "aten"})
    EXPECT_LT(relative_distance(answers(device, sees, images(), 0), golden(has_texts() ? "image_embeds" : "logits")),
              kVisionTolerance)
        << device;
  if (!has_texts()) return;
  const at::Tensor ids = golden("input_ids").to(at::kInt);
  std::vector<ModelInput> texts;
  for (int64_t t = 0; t < ids.size(0); ++t)
    texts.emplace_back(
        std::span<const int32_t>(ids.data_ptr<int32_t>() + t * ids.size(1), static_cast<size_t>(ids.size(1))));
  for (const char* device : {"cpu", "aten"})
    EXPECT_LT(
        relative_distance(answers(device, stack_of(model_, Stack::kText), texts, ids.size(1)), golden("text_embeds")),
        kVisionTolerance)
        << device;
}

/// What transformers calls a parameter in memory, where that is not what its files do.
std::string name_in_memory(std::string name) {
  static const std::pair<const char*, const char*> kRenamed[] = {{"encoder.layer.", "layers."},
                                                                 {"attention.attention.query", "attention.q_proj"},
                                                                 {"attention.attention.key", "attention.k_proj"},
                                                                 {"attention.attention.value", "attention.v_proj"},
                                                                 {"attention.output.dense", "attention.o_proj"},
                                                                 {"intermediate.dense", "mlp.fc1"},
                                                                 {"output.dense", "mlp.fc2"}};
  for (const auto& [from, to] : kRenamed)
    if (const size_t at = name.find(from); at != std::string::npos) name.replace(at, std::string(from).size(), to);
  return name;
}

TEST_P(VisionParity, LossAndGradientNorms) {
  const Model leaves = to_float32(model_, /*requires_grad=*/true);
  const auto expected_norms = std::count_if(golden_.entries().begin(), golden_.entries().end(),
                                            [](const SafetensorsEntry& e) { return e.name.starts_with("grad_norm."); });
  ASSERT_GT(expected_norms, 0) << "its golden file has no gradients";
  const at::Tensor log_p = scores(leaves).log_softmax(-1);
  const at::Tensor loss = -log_p.gather(-1, golden("labels").unsqueeze(-1)).mean();
  EXPECT_NEAR(loss.item<double>(), golden("loss").item<double>(), 1e-5);
  loss.backward();
  int64_t norms = 0;
  for (const TensorSpec& spec : leaves.blueprint().tensors()) {
    const std::string name = name_in_memory(spec.hugging_face.name);
    const double expected = golden(("grad_norm." + name).c_str()).item<double>();
    const double got = leaves.weight(spec.id).grad().norm().item<double>();
    // The key bias shifts all scores of a query alike: its true gradient is 0, what is left is rounding.
    if (spec.id.role == TensorRole::kAttnKBias && expected < 1e-5)
      EXPECT_LT(got, 1e-5) << name;
    else
      EXPECT_NEAR(got / expected, 1, 1e-3) << name;
    ++norms;
  }
  EXPECT_EQ(norms, expected_norms) << "every tensor of the model that the fixture was made of";
}

INSTANTIATE_TEST_SUITE_P(HuggingFace, VisionParity, ::testing::ValuesIn(vision_fixture_names()),
                         [](const auto& info) { return info.param; });

/// Answers of the fixture's images, one after the other.
at::Tensor rounded_answers(const char* device, const Model& model, const at::Tensor& pixels, const char* activations,
                           const ActivationRanges& ranges = {}) {
  ComputeOptions options;
  options.device = device, options.threads = 1;
  const auto ready =
      make_engine(options)->prepare_answers(model, {.activations = Activations::parse(activations), .ranges = ranges});
  std::vector<at::Tensor> rows;
  for (int64_t i = 0; i < pixels.size(0); ++i) rows.push_back(at::tensor(ready->answer(0, pixels_of(pixels, i))));
  return at::stack(rows);
}

TEST(Vision, SitesRoundedOneByOneAreThoseRoundedAtOnce) {
  const Model model = load_model(vision_fixture("deit_distilled").string());
  const at::Tensor pixels =
      tensor_in(SafetensorsFile(vision_fixture("deit_distilled") / "golden.safetensors"), "pixel_values");
  RoundedSites sites;
  for (const TensorSpec& tensor : model.blueprint().tensors())
    if (tensor.input) sites.inputs[*tensor.input] = {8, ActivationGrid::Span::kToken, {}};
  for (const char* device : {"cpu", "aten"}) {
    const at::Tensor at_once = rounded_answers(device, model, pixels, "int8:token");
    const auto ready = make_engine({.threads = 1, .device = device})
                           ->prepare_answers(model, {.sites = std::make_shared<RoundedSites>(sites)});
    for (int64_t i = 0; i < pixels.size(0); ++i)
      // The last layer goes through in other blocks of rows: last bits, and now and then a code.
      EXPECT_LT(relative_distance(at::tensor(ready->answer(0, pixels_of(pixels, i))), at_once[i]), 2e-3) << device;
  }
}

TEST(Vision, ActivationsAreRoundedAlikeByBothEngines) {
  for (const char* name : {"vit", "deit_distilled"}) {
    const Model model = load_model(vision_fixture(name).string());
    const at::Tensor pixels = tensor_in(SafetensorsFile(vision_fixture(name) / "golden.safetensors"), "pixel_values");
    const at::Tensor exact = rounded_answers("cpu", model, pixels, "exact");
    ActivationRanges ranges;
    for (const TensorSpec& tensor : model.blueprint().tensors())
      if (tensor.input) ranges[*tensor.input] = 6;
    double before = 0;
    for (const char* how : {"int8:token", "int6:token", "int4:token"}) {
      const at::Tensor fused = rounded_answers("cpu", model, pixels, how);
      const double moved = relative_distance(fused, exact);
      EXPECT_GT(moved, before) << name << " " << how;
      // A value that rounding of floats lifts over half a step moves by a whole one: few do.
      EXPECT_LT(relative_distance(rounded_answers("aten", model, pixels, how), fused), 0.2 * moved)
          << name << " " << how;
      before = moved;
    }
    EXPECT_LT(relative_distance(rounded_answers("cpu", model, pixels, "int8:token"), exact), 0.05) << name;
    const at::Tensor fixed = rounded_answers("cpu", model, pixels, "int8:tensor", ranges);
    EXPECT_GT(relative_distance(fixed, exact), 0) << name;
    EXPECT_LT(relative_distance(rounded_answers("aten", model, pixels, "int8:tensor", ranges), fixed), 0.02) << name;
    expect_error(ErrorKind::kInvalidArgument, {"int8:tensor:sym", "no range of", "calibrate"},
                 [&] { rounded_answers("cpu", model, pixels, "int8:tensor"); });
  }
}

TEST(Vision, WhatAModelIsNotForIsRefused) {
  const Model vit = load_model(vision_fixture("vit").string()), clip = load_model(vision_fixture("clip").string());
  const at::Tensor image = at::zeros({1, 3, 32, 32}), ids = at::tensor({int64_t{5}, int64_t{399}}).unsqueeze(0);
  expect_error(ErrorKind::kInvalidArgument, {"[batch, 3, 32, 32]", "[1, 3, 48, 48]"}, [&] {
    classify(vit, at::zeros({1, 3, 48, 48}));
  });
  expect_error(ErrorKind::kUnsupported, {"expected a classifier of images"}, [&] { classify(clip, image); });
  expect_error(ErrorKind::kUnsupported, {"images and texts"}, [&] { compare_images_with_texts(vit, image, ids); });
  expect_error(ErrorKind::kInvalidArgument, {"without its end, token 399"},
               [&] { compare_images_with_texts(clip, image, ids.narrow(1, 0, 1)); });
  expect_error(ErrorKind::kInvalidArgument, {"one stack"}, [&] { stack_of(vit, Stack::kImage); });
  expect_error(ErrorKind::kUnsupported, {"forward", "answers for whole images"}, [&] { forward_logits(vit, ids); });
  expect_error(ErrorKind::kUnsupported, {"several stacks"}, [&] { make_engine({})->prepare_answers(clip, {}); });
  const auto ready = make_engine({})->prepare_answers(vit, {});
  const std::vector<float> small(12);
  expect_error(ErrorKind::kInvalidArgument, {"3 x 32 x 32", "12"}, [&] { ready->answer(0, std::span(small)); });
}

}  // namespace
}  // namespace vernier
