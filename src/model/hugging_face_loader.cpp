#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <cstring>

#include "base/fail.h"
#include "base/json.h"
#include "format/sharded_safetensors.h"
#include "model/config.h"
#include "model/hub_cache.h"
#include "model/loaders.h"

namespace vernier {

namespace {

at::ScalarType scalar_type(const SafetensorsEntry& entry) {
  switch (entry.dtype) {
    case DType::kF32: return at::kFloat;
    case DType::kF16: return at::kHalf;
    case DType::kBF16: return at::kBFloat16;
    default:
      fail(ErrorKind::kUnsupported, "load: {}: type {}; supported: F32, F16, BF16 (is the model quantized already?)",
           entry.name, entry.dtype_name);
  }
}

std::string shape_text(const std::vector<int64_t>& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

at::Tensor as_tensor(const SafetensorsEntry& entry, const std::shared_ptr<const ShardedSafetensors>& files) {
  const at::ScalarType type = scalar_type(entry);
  auto* data = const_cast<std::byte*>(entry.data.data());
  // A header of odd length leaves values unaligned; copying those is rare and keeps every later cast legal.
  if (reinterpret_cast<uintptr_t>(data) % c10::elementSize(type) != 0) {
    at::Tensor copy = at::empty(entry.shape, type);
    std::memcpy(copy.data_ptr(), data, entry.data.size());
    return copy;
  }
  return at::from_blob(
      data, entry.shape, [files](void*) {}, type);  // the mapping lives as long as its last tensor
}

}  // namespace

Model load_hugging_face(const std::filesystem::path& folder) {
  const auto config_path = folder / "config.json";
  if (!std::filesystem::exists(config_path))
    fail(ErrorKind::kBadFile, "load: {}: no config.json; expected a Hugging Face model directory or a GGUF file",
         folder.string());
  ModelConfig config = parse_config(read_json(config_path), config_path.string());
  const auto files = std::make_shared<const ShardedSafetensors>(folder);

  ModelSource source;
  source.path = folder;
  source.name = name_of_model_folder(folder);
  Model model(config, source);
  size_t used = 0;
  for (const TensorId& id : expected_tensors(config)) {
    const std::string name = hugging_face_name(id);
    const SafetensorsEntry* entry = files->find(name);
    if (entry == nullptr)
      fail(ErrorKind::kBadFile, "load: {}: tensor {} is missing; a {} model with {} layers has it", folder.string(),
           name, config.family, config.layers);
    const auto expected = expected_shape(config, id.role);
    if (entry->shape != expected)
      fail(ErrorKind::kBadFile, "load: {}: expected {}, got {}; config.json and weights do not belong together", name,
           shape_text(expected), shape_text(entry->shape));
    model.set_weight(id, as_tensor(*entry, files));
    ++used;
  }
  // A weight that the forward would silently leave out makes every number wrong. Old files store the rotary table, and
  // some a copy of a tied output matrix: those two are harmless.
  for (const SafetensorsEntry* entry : files->entries()) {
    if (used == files->entries().size()) break;
    const bool harmless = entry->name.ends_with("rotary_emb.inv_freq") ||
                          (config.tied_embedding && entry->name == hugging_face_name({TensorRole::kOutput, -1}));
    bool known = harmless;
    for (const TensorId& id : expected_tensors(config)) known = known || hugging_face_name(id) == entry->name;
    if (!known)
      fail(ErrorKind::kUnsupported, "load: {}: tensor {} is not part of a {} model as config.json describes it",
           folder.string(), entry->name, config.family);
  }
  return model;
}

}  // namespace vernier
