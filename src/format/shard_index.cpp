#include "format/shard_index.h"

#include <string_view>

#include "base/fail.h"
#include "base/json.h"
#include "base/output_file.h"
#include "format/bytes.h"

namespace vernier {

namespace fs = std::filesystem;

namespace {

/// Shards sit beside the index: a name with any other meaning could reach files that are none of the model's. Links are
/// followed, since the Hugging Face cache is made of them.
bool is_plain_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find_first_of(std::string_view("/\\\0", 3)) == name.npos;
}

}  // namespace

bool is_present(const fs::path& path) {
  std::error_code code;
  return fs::exists(fs::symlink_status(path, code));
}

std::map<std::string, std::set<std::string>> read_shard_index(const fs::path& index) {
  constexpr uint64_t kMaxIndexBytes = 100'000'000;
  const std::string origin = index.string();
  std::error_code code;
  if (const uint64_t size = fs::file_size(index, code); !code && size > kMaxIndexBytes)
    fail(ErrorKind::kBadFile, "load: {}: {} bytes, expected at most {}", origin, size, kMaxIndexBytes);
  const SortedJson json = parse_sorted_json(read_file(index), origin);
  const auto map = json.is_object() ? json.find("weight_map") : json.end();
  if (map == json.end() || !map->is_object() || map->empty())
    fail(ErrorKind::kBadFile, "load: {}: expected a \"weight_map\" from tensor names to shard files", origin);

  std::map<std::string, std::set<std::string>> shards;
  for (const auto& [tensor, shard] : map->items()) {
    if (!shard.is_string())
      fail(ErrorKind::kBadFile, "load: {}: tensor {}: expected a shard's file name", origin, in_quotes(tensor));
    const auto& name = shard.get_ref<const std::string&>();
    if (!is_plain_name(name))
      fail(ErrorKind::kBadFile, "load: {}: tensor {}: shard {} is not a plain file name; it would leave the folder",
           origin, in_quotes(tensor), in_quotes(name));
    shards[name].insert(tensor);
  }
  return shards;
}

}  // namespace vernier
