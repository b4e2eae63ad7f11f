#include "format/sharded_safetensors.h"

#include <algorithm>
#include <set>

#include "base/fail.h"
#include "base/json.h"
#include "format/bytes.h"

namespace vernier {

namespace fs = std::filesystem;

namespace {

/// Also true for a dangling link, such as an unfinished download leaves: opening it then names what is missing.
bool present(const fs::path& path) {
  std::error_code code;
  return fs::exists(fs::symlink_status(path, code));
}

/// What to tell somebody whose folder holds no safetensors model.
[[noreturn]] void refuse_folder(const fs::path& folder) {
  std::vector<std::string> pickles, others;
  std::error_code code;
  for (fs::directory_iterator entry(folder, code), end; !code && entry != end; entry.increment(code)) {
    const std::string name = entry->path().filename().string(), ending = entry->path().extension().string();
    if (ending == ".bin" || ending == ".pt" || ending == ".pth" || ending == ".ckpt") pickles.push_back(name);
    if (ending == ".safetensors" || ending == ".gguf") others.push_back(name);
  }
  if (code) fail(ErrorKind::kIo, "load: list {}: {}", folder.string(), code.message());
  if (!others.empty())
    fail(ErrorKind::kInvalidArgument,
         "load: {}: expected model.safetensors or model.safetensors.index.json, found {}; pass that file's own path, "
         "or fetch the index",
         folder.string(), in_quotes(*std::min_element(others.begin(), others.end())));
  if (!pickles.empty())
    fail(ErrorKind::kUnsupported,
         "load: {}: the weights are pickled ({}). Reading a Python pickle can run any code that its author put in, so "
         "it is refused. Where you trust the author, convert it once:\n"
         "  import torch; from safetensors.torch import save_file\n"
         "  save_file({{k: v.clone().contiguous() for k, v in torch.load(\"{}\", weights_only=True).items()}}, "
         "\"model.safetensors\")\n"
         "or load it with transformers and call model.save_pretrained(FOLDER, safe_serialization=True)",
         folder.string(), in_quotes(*std::min_element(pickles.begin(), pickles.end())),
         *std::min_element(pickles.begin(), pickles.end()));
  fail(ErrorKind::kInvalidArgument,
       "load: {}: no weights: expected model.safetensors, or model.safetensors.index.json and its shards",
       folder.string());
}

/// Shards sit beside the index: a name with any other meaning could reach files that are none of the model's. Links are
/// followed, since the Hugging Face cache is made of them.
bool is_plain_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find_first_of(std::string_view("/\\\0", 3)) == name.npos;
}

}  // namespace

ShardedSafetensors::ShardedSafetensors(const fs::path& path) : path_(path) {
  std::error_code code;
  if (!fs::is_directory(path, code)) {
    shards_.emplace_back(path);
  } else if (present(path / "model.safetensors")) {
    shards_.emplace_back(path / "model.safetensors");
  } else if (present(path / "model.safetensors.index.json")) {
    open_index(path, path / "model.safetensors.index.json");
    return;
  } else {
    refuse_folder(path);
  }
  for (const SafetensorsEntry& entry : shards_[0].entries()) {
    entries_.push_back(&entry);
    owner_.emplace(entry.name, &shards_[0]);
  }
}

void ShardedSafetensors::open_index(const fs::path& folder, const fs::path& index) {
  constexpr uint64_t kMaxIndexBytes = 100'000'000;
  const std::string origin = index.string();
  std::error_code code;
  if (const uint64_t size = fs::file_size(index, code); !code && size > kMaxIndexBytes)
    fail(ErrorKind::kBadFile, "load: {}: {} bytes, expected at most {}", origin, size, kMaxIndexBytes);
  const Json json = read_json(index);
  const Json* map = json_find(json, "weight_map");
  if (map == nullptr || !map->is_object() || map->empty())
    fail(ErrorKind::kBadFile, "load: {}: expected a \"weight_map\" from tensor names to shard files", origin);

  std::map<std::string, std::set<std::string_view>> wanted;  // shard -> tensors
  for (const auto& [tensor, shard] : map->items()) {
    if (!shard.is_string())
      fail(ErrorKind::kBadFile, "load: {}: tensor {}: expected a shard's file name", origin, in_quotes(tensor));
    const auto& name = shard.get_ref<const std::string&>();
    if (!is_plain_name(name))
      fail(ErrorKind::kBadFile, "load: {}: tensor {}: shard {} is not a plain file name; it would leave the folder",
           origin, in_quotes(tensor), in_quotes(name));
    wanted[name].insert(tensor);
  }
  shards_.reserve(wanted.size());  // views point into the shards
  for (const auto& [name, tensors] : wanted) {
    if (!present(folder / name))
      fail(ErrorKind::kBadFile, "load: {}: shard {} is missing; download it", origin, in_quotes(name));
    const SafetensorsFile& shard = shards_.emplace_back(folder / name);
    for (const std::string_view tensor : tensors)
      if (shard.find(tensor) == nullptr)
        fail(ErrorKind::kBadFile, "load: {}: tensor {} is said to be in {}, which lacks it", origin, in_quotes(tensor),
             in_quotes(name));
    for (const SafetensorsEntry& entry : shard.entries()) {
      if (!tensors.contains(entry.name)) continue;
      entries_.push_back(&entry);
      owner_.emplace(entry.name, &shard);
    }
  }
}

const SafetensorsEntry* ShardedSafetensors::find(std::string_view name) const {
  const auto it = owner_.find(name);
  return it == owner_.end() ? nullptr : it->second->find(name);
}

const SafetensorsEntry& ShardedSafetensors::read(std::string_view name) const {
  const auto it = owner_.find(name);
  if (it == owner_.end()) fail(ErrorKind::kBadFile, "load: {}: tensor {} is missing", path_.string(), in_quotes(name));
  return it->second->read(name);
}

}  // namespace vernier
