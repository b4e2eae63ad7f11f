#include "cli/input_tensors.h"

#include <ATen/ATen.h>

#include <cstring>
#include <filesystem>

#include "base/fail.h"
#include "base/hash.h"

namespace vernier {

namespace {

at::Tensor tensor_copy(const SafetensorsEntry& entry, at::ScalarType type) {
  at::Tensor values = at::empty(entry.shape, type);
  std::memcpy(values.data_ptr(), entry.data.data(), entry.data.size());
  return values;
}

[[noreturn]] void refuse_tensor(const SafetensorsFile& file, const SafetensorsEntry& entry, const char* expected) {
  fail(ErrorKind::kBadFile, "{}: {}: expected {}, got {} with {} dimensions", file.path().string(), entry.name,
       expected, entry.dtype_name, entry.shape.size());
}

}  // namespace

at::Tensor input_ids_of(const SafetensorsFile& file) {
  const SafetensorsEntry& entry = file.read("input_ids");
  if (entry.shape.size() != 2 || (entry.dtype != DType::kI64 && entry.dtype != DType::kI32))
    refuse_tensor(file, entry, "I64 or I32 [batch, time]");
  return tensor_copy(entry, entry.dtype == DType::kI64 ? at::kLong : at::kInt).to(at::kLong);
}

at::Tensor pixel_values_of(const SafetensorsFile& file) {
  const SafetensorsEntry& entry = file.read("pixel_values");
  if (entry.shape.size() != 4 || entry.dtype != DType::kF32)
    refuse_tensor(file, entry, "F32 [batch, channels, height, width]");
  return tensor_copy(entry, at::kFloat);
}

VisionInputs vision_inputs(const std::string& path, const Model& model) {
  const SafetensorsFile file(path);
  const at::Tensor pixels = pixel_values_of(file);
  VisionInputs inputs;
  inputs.name = std::filesystem::path(path).filename().string();
  inputs.images = pixels.size(0);
  inputs.pixels = [pixels](int64_t image) {
    const at::Tensor one = pixels[image];
    return std::vector<float>(one.data_ptr<float>(), one.data_ptr<float>() + one.numel());
  };
  Hasher hasher;
  hasher.add(std::as_bytes(std::span(pixels.data_ptr<float>(), static_cast<size_t>(pixels.numel()))));
  if (!model.config().stacks.empty()) {
    const at::Tensor ids = input_ids_of(file).to(at::kInt);
    hasher.add(std::as_bytes(std::span(ids.data_ptr<int32_t>(), static_cast<size_t>(ids.numel()))));
    for (int64_t text = 0; text < ids.size(0); ++text) {
      const int32_t* first = ids.data_ptr<int32_t>() + text * ids.size(1);
      inputs.texts.emplace_back(first, first + ids.size(1));
    }
  }
  inputs.hash = hasher.hex();
  return inputs;
}

}  // namespace vernier
