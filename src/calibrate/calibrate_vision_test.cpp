#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "calibrate/gram_pass.h"
#include "support/expect_error.h"
#include "support/scratch.h"
#include "support/vision_models.h"
#include "vernier/calibrate.h"

namespace vernier {
namespace {

VisionInputs golden_inputs(const std::string& name) {
  const SafetensorsFile file(vision_fixture(name) / "golden.safetensors");
  const at::Tensor pixels = tensor_in(file, "pixel_values");
  VisionInputs inputs;
  inputs.name = name;
  inputs.hash = "golden";
  inputs.images = pixels.size(0);
  inputs.pixels = [pixels](int64_t image) {
    const std::span<const float> values = pixels_of(pixels, image);
    return std::vector<float>(values.begin(), values.end());
  };
  if (file.find("input_ids") == nullptr) return inputs;
  const at::Tensor ids = tensor_in(file, "input_ids").to(at::kInt);
  for (int64_t t = 0; t < ids.size(0); ++t) {
    const int32_t* first = ids.data_ptr<int32_t>() + t * ids.size(1);
    inputs.texts.emplace_back(first, first + ids.size(1));
  }
  return inputs;
}

class CalibrateVision : public ::testing::TestWithParam<std::string> {};

TEST_P(CalibrateVision, BothEnginesAgreeOnEverySite) {
  const Model model = load_model(vision_fixture(GetParam()).string());
  const VisionInputs inputs = golden_inputs(GetParam());
  const Calibration fused = calibrate_vision(model, inputs, {.threads = 2});
  const Calibration plain = calibrate_vision(model, inputs, {.device = "aten"});
  check_calibration(fused, model);
  EXPECT_EQ(fused.tokens, plain.tokens);
  ASSERT_EQ(fused.sites.size(), plain.sites.size());
  for (const auto& [site, channels] : fused.sites) {
    const ChannelStatistics& other = plain.sites.at(site);
    ASSERT_EQ(channels.mean_square.size(), other.mean_square.size()) << name_of(site);
    for (size_t j = 0; j < channels.mean_square.size(); ++j) {
      EXPECT_NEAR(channels.mean_square[j], other.mean_square[j], 1e-4 * other.mean_square[j] + 1e-9) << name_of(site);
      EXPECT_NEAR(channels.abs_max[j], other.abs_max[j], 1e-4 * other.abs_max[j] + 1e-6) << name_of(site);
    }
  }
  EXPECT_EQ(calibration_hash(fused), calibration_hash(calibrate_vision(model, inputs, {.threads = 1})));
}

INSTANTIATE_TEST_SUITE_P(Models, CalibrateVision, ::testing::ValuesIn(vision_fixture_names()),
                         [](const auto& info) { return info.param; });

TEST(CalibrateVision, APatchIsItsPixels) {
  const Model model = load_model(vision_fixture("vit").string());
  const VisionInputs inputs = golden_inputs("vit");
  const Calibration calibration = calibrate_vision(model, inputs);
  EXPECT_EQ(calibration.tokens, 4 * 17);
  // Channel 1, row 2, column 5 of an 8 x 8 square, over the 16 squares of the 4 images.
  double squares = 0;
  for (int64_t i = 0; i < inputs.images; ++i) {
    const std::vector<float> pixels = inputs.pixels(i);
    for (size_t top = 0; top < 32; top += 8)
      for (size_t left = 0; left < 32; left += 8) {
        const double value = pixels[(32 + top + 2) * 32 + left + 5];
        squares += value * value;
      }
  }
  const std::vector<float> importance = calibration.importance(model, {TensorRole::kPatchEmbedding});
  ASSERT_EQ(importance.size(), 3u * 8 * 8);
  EXPECT_NEAR(importance[64 + 2 * 8 + 5], squares / 64, 1e-5);
}

/// Each stack of a model as one of its own, with what its calibration says.
std::vector<std::pair<Model, Calibration>> stacks_of(const Model& model, const Calibration& calibration) {
  if (model.config().stacks.empty()) return {{model, calibration}};
  std::vector<std::pair<Model, Calibration>> all;
  for (const ModelConfig& stack : model.config().stacks)
    all.emplace_back(stack_of(model, stack.stack), stack_of(calibration, stack.stack));
  return all;
}

// Sums of all inputs, part by part, are what calibrating counted; images are kept in float16.
TEST_P(CalibrateVision, GramMatricesAreMadeAgainFromWhatIsKept) {
  const Model model = load_model(vision_fixture(GetParam()).string());
  const VisionInputs inputs = golden_inputs(GetParam());
  const Calibration calibration = calibrate_vision(model, inputs, {.threads = 2});
  EXPECT_EQ(calibration.images.size(0), inputs.images);
  for (const auto& [stack, known] : stacks_of(model, calibration)) {
    GramPass one(stack, known, 1), two(stack, known, 2);
    const std::vector<size_t> parts =
        stack.config().reads_images() ? parts_of_images(inputs.images) : parts_of(known.text);
    int sites = 0;
    for (const auto& [site, statistics] : known.sites) {
      if (site.layer < 0) continue;
      const InputGrams* grams = one.at(site);
      ASSERT_NE(grams, nullptr) << name_of(site);
      at::Tensor sum = at::zeros_like(grams->parts[0]);
      for (size_t part = 0; part < grams->parts.size(); ++part) {
        EXPECT_TRUE(at::equal(grams->parts[part], two.at(site)->parts[part])) << name_of(site);
        sum += grams->parts[part] * static_cast<double>(std::ranges::count(parts, part));
      }
      // Also of the last layer, which answers from some of its rows. Texts differ in length: their parts do not count alike.
      const at::Tensor ratio = sum.diagonal() / at::tensor(statistics.mean_square) / static_cast<double>(parts.size());
      const double off = stack.config().reads_images() ? 1.02 : 3;
      EXPECT_LT(ratio.max().item<double>(), off) << name_of(site);
      EXPECT_GT(ratio.min().item<double>(), 1 / off) << name_of(site);
      ++sites;
    }
    EXPECT_GE(sites, 4);
  }
}

TEST(CalibrateVision, ImagesComeBackFromTheFile) {
  const Model model = load_model(vision_fixture("clip").string());
  const Calibration calibration = calibrate_vision(model, golden_inputs("clip"));
  const auto path = scratch_path("vernier_vision_calibration.safetensors");
  save_calibration(calibration, path);
  const Calibration read = load_calibration(path);
  EXPECT_TRUE(at::equal(read.images, calibration.images));
  ASSERT_EQ(read.text.size(), calibration.text.size());
  EXPECT_EQ(read.text.back().tokens, calibration.text.back().tokens);
  Calibration strange = calibration;
  strange.images = calibration.images.flatten();
  save_calibration(strange, path);
  expect_error(ErrorKind::kBadFile, {"images: expected float16 [count, channels, side, side]"},
               [&] { load_calibration(path); });
  std::filesystem::remove(path);
  strange.images = at::Tensor();
  expect_error(ErrorKind::kInvalidArgument, {"without its images", "calibrate the model again, on images"},
               [&] { GramPass(stack_of(model, Stack::kImage), stack_of(strange, Stack::kImage), 1); });
}

TEST(CalibrateVision, WhatDoesNotFitIsRefused) {
  const Model vit = load_model(vision_fixture("vit").string()), clip = load_model(vision_fixture("clip").string());
  expect_error(ErrorKind::kInvalidArgument, {"at least one image and no texts"},
               [&] { calibrate_vision(vit, golden_inputs("clip")); });
  expect_error(ErrorKind::kInvalidArgument, {"at least one of each"},
               [&] { calibrate_vision(clip, golden_inputs("vit")); });
  expect_error(ErrorKind::kInvalidArgument, {"expected images of 3 x 32 x 32"},
               [&] { calibrate_vision(vit, golden_inputs("vit_patch4")); });
  expect_error(ErrorKind::kUnsupported, {"expected a language model"}, [&] { calibrate(vit, {}); });
}

}  // namespace
}  // namespace vernier
