#include "vernier/model_outline.h"

#include <algorithm>

#include "base/fail.h"
#include "format/gguf_file.h"
#include "format/gguf_split.h"
#include "format/gguf_tokenizer.h"
#include "format/sharded_safetensors.h"
#include "model/hub_cache.h"
#include "model/loaders.h"

namespace vernier {

namespace fs = std::filesystem;

namespace {

bool is_weight_file(const fs::path& path) { return path.extension() == ".safetensors"; }

bool has_config(const fs::path& folder) {
  std::error_code code;
  return fs::exists(folder / "config.json", code);
}

fs::path folder_of(const fs::path& file) { return file.has_parent_path() ? file.parent_path() : fs::path("."); }

/// A model's folder stands for its files: they mean nothing without config.json. Another file is itself.
fs::path model_of_file(const fs::path& file) {
  const fs::path folder = folder_of(file);
  const std::string ending = file.extension().string(), name = file.filename().string();
  if (ending == ".bin" || ending == ".pt" || ending == ".pth" || ending == ".ckpt")
    fail(ErrorKind::kUnsupported,
         "load: {}: a pickle can run code when it is read, so it is not opened; convert it in Python: "
         "AutoModelForCausalLM.from_pretrained(folder).save_pretrained(out, safe_serialization=True)",
         file.string());
  if (ending == ".json")
    fail(ErrorKind::kInvalidArgument, "load: {}: got a JSON file, expected a model; pass its folder, {}", file.string(),
         folder.string());
  if (!is_weight_file(file)) return file;
  if (name.starts_with("adapter_")) refuse_folder_without_weights(folder);
  if (!has_config(folder))
    fail(ErrorKind::kInvalidArgument,
         "load: {}: no config.json beside it; copy config.json and tokenizer.json of the original model into {}",
         file.string(), folder.string());
  const std::vector<fs::path> parts = safetensors_in(folder);
  if (std::find(parts.begin(), parts.end(), folder / name) == parts.end())
    fail(ErrorKind::kInvalidArgument,
         "load: {}: the model in its folder is {}{}; pass the folder for that one, or move this file into a folder of "
         "its "
         "own with config.json and tokenizer.json",
         file.string(), parts.empty() ? "elsewhere" : parts[0].filename().string(),
         parts.size() > 1 ? " and its other shards" : "");
  return folder;
}

}  // namespace

fs::path resolve_model_path(const std::string& name) {
  std::error_code code;
  if (fs::is_directory(name, code)) return name;
  if (fs::exists(name, code) && !fs::is_regular_file(name, code))
    fail(ErrorKind::kInvalidArgument, "load: {}: this is mapped into memory; expected a file or a folder, not a pipe",
         name);
  if (fs::exists(name, code)) return model_of_file(name);
  if (const auto snapshot = cached_snapshot(name)) return *snapshot;
  fail(ErrorKind::kIo,
       "load: {}: no such folder or file, and not in the Hugging Face cache ({}); pass the path of a "
       "model, or download it first",
       name, hub_cache_folder().string());
}

std::vector<fs::path> files_of_model(const std::string& name) {
  std::error_code code;
  const auto snapshot = fs::exists(name, code) ? std::nullopt : cached_snapshot(name);
  fs::path path = snapshot ? *snapshot : fs::path(name);
  if (is_weight_file(path) && has_config(folder_of(path))) path = folder_of(path);
  std::vector<fs::path> files{path};
  if (!fs::is_directory(path, code)) {
    for (const fs::path& part : gguf_part_names(path))
      if (part != path && fs::exists(part, code)) files.push_back(part);
    return files;
  }
  for (fs::directory_iterator entry(path, code), end; !code && entry != end; entry.increment(code))
    files.push_back(entry->path());
  return files;
}

ModelOutline outline_model(const std::string& name) {
  const fs::path path = resolve_model_path(name);
  return fs::is_directory(path) ? outline_hugging_face(path) : outline_gguf(path);
}

TokenizerModel load_tokenizer_of(const fs::path& model_path) {
  if (fs::is_directory(model_path)) return load_tokenizer_model(model_path);
  return read_tokenizer(GgufFile(model_path));
}

int64_t ModelOutline::parameters() const {
  int64_t count = 0;
  for (const TensorOutline& tensor : tensors) {
    int64_t size = 1;
    for (const int64_t dimension : tensor.shape) size *= dimension;
    count += size;
  }
  return count;
}

uint64_t ModelOutline::stored_bytes() const {
  uint64_t bytes = 0;
  for (const TensorOutline& tensor : tensors) bytes += tensor.stored_bytes();
  return bytes;
}

uint64_t TensorOutline::stored_bytes() const { return scheme.bytes(shape[0], shape.size() > 1 ? shape[1] : 1); }

}  // namespace vernier
