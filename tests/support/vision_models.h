#pragma once

// The tiny models of tests/fixtures/vision_models, and what their golden files hold.

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "format/safetensors_file.h"
#include "vernier/model.h"
#include "vernier/vision_inputs.h"

namespace vernier {

inline std::filesystem::path vision_fixture(const std::string& name) {
  return std::filesystem::path(VERNIER_SOURCE_DIR) / "tests/fixtures/vision_models" / name;
}

/// Every one of them: an architecture that brings one is tested by being there.
inline std::vector<std::string> vision_fixture_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(vision_fixture("")))
    if (std::filesystem::exists(entry.path() / "golden.safetensors")) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

/// A tensor of a safetensors file, int64 or float32.
inline at::Tensor tensor_in(const SafetensorsFile& file, const std::string& name) {
  const SafetensorsEntry& entry = file.read(name);
  at::Tensor t = at::empty(entry.shape, entry.dtype == DType::kI64 ? at::kLong : at::kFloat);
  std::memcpy(t.data_ptr(), entry.data.data(), entry.data.size());
  return t;
}

/// Of what was got to what was expected.
inline double relative_distance(const at::Tensor& got, const at::Tensor& expected) {
  return ((got - expected).norm() / expected.norm()).item<double>();
}

/// Pixels of one image of a batch [images, channels, side, side].
inline std::span<const float> pixels_of(const at::Tensor& images, int64_t index) {
  const int64_t count = images[0].numel();
  return {images.data_ptr<float>() + index * count, static_cast<size_t>(count)};
}

/// The golden inputs of a fixture; of CLIP every text is the prompt of a class of its own.
inline AnswerData golden_answer_data(const Model& model, const std::string& fixture) {
  const SafetensorsFile golden(vision_fixture(fixture) / "golden.safetensors");
  const at::Tensor pixels = tensor_in(golden, "pixel_values");
  AnswerData data;
  data.inputs.name = fixture;
  data.inputs.hash = fixture;
  data.inputs.images = pixels.size(0);
  data.inputs.pixels = [pixels](int64_t image) {
    const std::span<const float> one = pixels_of(pixels, image);
    return std::vector<float>(one.begin(), one.end());
  };
  data.classes = model.config().read_out.classes;
  if (!model.config().stacks.empty()) {
    const at::Tensor ids = tensor_in(golden, "input_ids").to(at::kInt);
    data.classes = ids.size(0);
    for (int64_t t = 0; t < ids.size(0); ++t) {
      const int32_t* first = ids.data_ptr<int32_t>() + t * ids.size(1);
      data.inputs.texts.emplace_back(first, first + ids.size(1));
    }
  }
  for (int64_t i = 0; i < data.inputs.images; ++i) {
    data.labels.push_back(static_cast<int32_t>(i % data.classes));
    data.clusters.push_back(i);
  }
  return data;
}

}  // namespace vernier
