#pragma once

// The weights of a model folder as Hugging Face lays it out: model.safetensors, or shards named by
// model.safetensors.index.json. A path to a single *.safetensors file is taken too.
//
//   ShardedSafetensors weights("Qwen2.5-0.5B");
//   const SafetensorsEntry& norm = weights.read("model.norm.weight");

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "format/safetensors_file.h"

namespace vernier {

class ShardedSafetensors {
 public:
  /// @throws Error{kBadFile} for a broken shard or index: a shard that is missing, a tensor that is not in the shard it
  /// is said to be in, a shard name that is not a plain file name; Error{kUnsupported} for a folder that has pickled
  /// weights only, with the way out; Error{kInvalidArgument} for a folder without weights; Error{kIo}
  explicit ShardedSafetensors(const std::filesystem::path& folder_or_file);

  /// Shard by shard, in the order of the data; of a sharded model, what its index names. Valid as long as this object.
  const std::vector<const SafetensorsEntry*>& entries() const { return entries_; }
  /// nullptr when absent.
  const SafetensorsEntry* find(std::string_view name) const;
  /// For use of the values. @throws Error{kBadFile} when absent, Error{kUnsupported} when its type is kOther
  const SafetensorsEntry& read(std::string_view name) const;
  const std::vector<SafetensorsFile>& shards() const { return shards_; }
  void release_pages() const {
    for (const SafetensorsFile& shard : shards_) shard.release_pages();
  }

 private:
  void open_index(const std::filesystem::path& folder, const std::filesystem::path& index);

  std::filesystem::path path_;
  std::vector<SafetensorsFile> shards_;
  std::vector<const SafetensorsEntry*> entries_;
  std::map<std::string_view, const SafetensorsFile*> owner_;  // keys live in the entries
};

}  // namespace vernier
