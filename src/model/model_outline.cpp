#include "vernier/model_outline.h"

#include "base/fail.h"
#include "format/gguf_file.h"
#include "format/gguf_split.h"
#include "format/gguf_tokenizer.h"
#include "model/hub_cache.h"
#include "model/loaders.h"

namespace vernier {

namespace fs = std::filesystem;

fs::path resolve_model_path(const std::string& name) {
  if (fs::exists(name)) return name;
  if (const auto snapshot = cached_snapshot(name)) return *snapshot;
  fail(ErrorKind::kIo, "load: {}: no such folder or file, and not in the Hugging Face cache ({})", name,
       hub_cache_folder().string());
}

std::vector<fs::path> files_of_model(const std::string& name) {
  std::error_code code;
  const auto snapshot = fs::exists(name, code) ? std::nullopt : cached_snapshot(name);
  const fs::path path = snapshot ? *snapshot : fs::path(name);
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
  if (fs::is_directory(path)) return outline_hugging_face(path);
  if (path.extension() == ".bin" || path.extension() == ".pt" || path.extension() == ".pth")
    fail(ErrorKind::kUnsupported,
         "load: {}: a pickle can run code when it is read, so it is not opened; convert it in Python: "
         "AutoModelForCausalLM.from_pretrained(folder).save_pretrained(out, safe_serialization=True)",
         path.string());
  if (path.extension() == ".safetensors")
    fail(ErrorKind::kInvalidArgument, "load: {}: give the folder that also holds config.json", path.string());
  return outline_gguf(path);
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
  for (const TensorOutline& tensor : tensors) bytes += tensor.bytes.size();
  return bytes;
}

}  // namespace vernier
