#include "format/sharded_safetensors.h"

#include "base/fail.h"
#include "format/bytes.h"
#include "format/shard_index.h"

namespace vernier {

namespace fs = std::filesystem;

ShardedSafetensors::ShardedSafetensors(const fs::path& path) : path_(path) {
  std::error_code code;
  const fs::path index = path / "model.safetensors.index.json";
  if (!fs::is_directory(path, code)) {
    open_all({path});
  } else if (is_present(index) && !is_present(path / "model.safetensors")) {
    open_index(path, index);
  } else {
    const std::vector<fs::path> files = safetensors_in(path);
    if (files.empty()) refuse_folder_without_weights(path);
    open_all(files);
  }
}

void ShardedSafetensors::open_all(const std::vector<fs::path>& files) {
  shards_.reserve(files.size());  // views point into the shards
  for (const fs::path& file : files) {
    const SafetensorsFile& shard = shards_.emplace_back(file);
    for (const SafetensorsEntry& entry : shard.entries()) add(entry, shard);
  }
}

void ShardedSafetensors::open_index(const fs::path& folder, const fs::path& index) {
  const std::string origin = index.string();
  const auto wanted = read_shard_index(index);
  shards_.reserve(wanted.size());  // views point into the shards
  for (const auto& [name, tensors] : wanted) {
    if (!is_present(folder / name))
      fail(ErrorKind::kBadFile, "load: {}: shard {} is missing; download it", origin, in_quotes(name));
    const SafetensorsFile& shard = shards_.emplace_back(folder / name);
    for (const std::string& tensor : tensors)
      if (shard.find(tensor) == nullptr)
        fail(ErrorKind::kBadFile, "load: {}: tensor {} is said to be in {}, which lacks it", origin, in_quotes(tensor),
             in_quotes(name));
    for (const SafetensorsEntry& entry : shard.entries())
      if (tensors.contains(entry.name)) add(entry, shard);
  }
}

void ShardedSafetensors::add(const SafetensorsEntry& entry, const SafetensorsFile& shard) {
  const auto [owner, fresh] = owner_.emplace(entry.name, &shard);
  if (!fresh)
    fail(ErrorKind::kBadFile,
         "load: {}: tensor {} is in {} and in {}, which do not belong to one model; download it again", path_.string(),
         in_quotes(entry.name), in_quotes(owner->second->path().filename().string()),
         in_quotes(shard.path().filename().string()));
  entries_.push_back(&entry);
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
