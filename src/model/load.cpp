#include <cstdlib>

#include "base/fail.h"
#include "base/output_file.h"
#include "format/gguf_file.h"
#include "format/gguf_tokenizer.h"
#include "model/loaders.h"

namespace vernier {

namespace fs = std::filesystem;

namespace {

fs::path cache_folder() {
  if (const char* hub = std::getenv("HF_HUB_CACHE")) return hub;
  if (const char* home = std::getenv("HF_HOME")) return fs::path(home) / "hub";
  const char* home = std::getenv("HOME");
  return fs::path(home == nullptr ? "." : home) / ".cache" / "huggingface" / "hub";
}

}  // namespace

fs::path resolve_model_path(const std::string& name) {
  if (fs::exists(name)) return name;
  const auto slash = name.find('/');
  if (slash != std::string::npos && name.find('/', slash + 1) == std::string::npos && name[0] != '.' && slash > 0) {
    const fs::path cached = cache_folder() / ("models--" + name.substr(0, slash) + "--" + name.substr(slash + 1));
    if (fs::exists(cached / "refs" / "main")) {
      std::string revision = read_file(cached / "refs" / "main", 256);
      revision.erase(revision.find_last_not_of(" \r\n") + 1);
      if (revision.find('/') == std::string::npos && fs::exists(cached / "snapshots" / revision))
        return cached / "snapshots" / revision;
    }
  }
  fail(ErrorKind::kIo, "load: {}: no such folder or file, and not in the Hugging Face cache ({})", name,
       cache_folder().string());
}

Model load_model(const std::string& name) {
  const fs::path path = resolve_model_path(name);
  if (fs::is_directory(path)) return load_hugging_face(path);
  if (path.extension() == ".bin" || path.extension() == ".pt" || path.extension() == ".pth")
    fail(ErrorKind::kUnsupported,
         "load: {}: a pickle can run code when it is read, so it is not opened; convert it in Python: "
         "AutoModelForCausalLM.from_pretrained(folder).save_pretrained(out, safe_serialization=True)",
         path.string());
  if (path.extension() == ".safetensors")
    fail(ErrorKind::kInvalidArgument, "load: {}: give the folder that also holds config.json", path.string());
  return load_gguf(path);
}

TokenizerModel load_tokenizer_of(const fs::path& model_path) {
  if (fs::is_directory(model_path)) return load_tokenizer_model(model_path);
  return read_tokenizer(GgufFile(model_path));
}

}  // namespace vernier
