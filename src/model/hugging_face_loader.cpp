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

Scheme scheme_of(const SafetensorsEntry& entry) {
  switch (entry.dtype) {
    case DType::kF32: return Scheme::parse("f32");
    case DType::kF16: return Scheme::parse("f16");
    case DType::kBF16: return Scheme::parse("bf16");
    default:
      fail(ErrorKind::kUnsupported, "load: {}: type {}; supported: F32, F16, BF16 (is the model quantized already?)",
           entry.name, entry.dtype_name);
  }
}

std::string shape_text(const std::vector<int64_t>& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

}  // namespace

ModelOutline outline_hugging_face(const std::filesystem::path& folder) {
  const auto config_path = folder / "config.json";
  if (!std::filesystem::exists(config_path))
    fail(ErrorKind::kBadFile, "load: {}: no config.json; expected a Hugging Face model directory or a GGUF file",
         folder.string());
  ModelOutline outline;
  outline.config = parse_config(read_json(config_path), config_path.string());
  const ModelConfig& config = outline.config;
  const auto files = std::make_shared<const ShardedSafetensors>(folder);

  outline.source.path = folder;
  outline.source.name = name_of_model_folder(folder);
  outline.mapping = files;
  outline.release_pages = [files] { files->release_pages(); };
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
    outline.tensors.push_back({id, entry->shape, scheme_of(*entry), entry->data});
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
  return outline;
}

}  // namespace vernier
