#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "support/expect_error.h"
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
