#pragma once

// The weights of a model folder as Hugging Face lays it out: model.safetensors, or shards named by
// model.safetensors.index.json or by their own numbers. A path to a single *.safetensors file is taken too.
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
  /// is said to be in or is in two, a shard name that is not a plain file name; for a folder without weights as
  /// refuse_folder_without_weights; Error{kIo}
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
  void open_all(const std::vector<std::filesystem::path>& files);
  void open_index(const std::filesystem::path& folder, const std::filesystem::path& index);
  void add(const SafetensorsEntry& entry, const SafetensorsFile& shard);

  std::filesystem::path path_;
  std::vector<SafetensorsFile> shards_;
  std::vector<const SafetensorsEntry*> entries_;
  std::map<std::string_view, const SafetensorsFile*> owner_;  // keys live in the entries
};

/// The files that ShardedSafetensors(folder) reads: model.safetensors, else the shards of the index, else the one set
/// NAME-00001-of-0000N.safetensors, else the only *.safetensors file. Empty when there is none; adapters do not count.
/// @throws Error{kBadFile} for a broken index and for a numbered shard that is missing, Error{kInvalidArgument} for
/// several files that could each be the model
std::vector<std::filesystem::path> safetensors_in(const std::filesystem::path& folder);

/// Says what a folder without safetensors weights holds instead, and the way from there.
/// @throws Error{kUnsupported} for pickles and for an adapter without its model, Error{kInvalidArgument} for GGUF files
/// and for nothing that is known, Error{kIo}
[[noreturn]] void refuse_folder_without_weights(const std::filesystem::path& folder);

}  // namespace vernier
