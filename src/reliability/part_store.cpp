#include "reliability/part_store.h"

#include <algorithm>

#include "base/output_file.h"
#include "vernier/error.h"

namespace vernier {

std::filesystem::path PartStore::path_of(const std::string& key) const {
  std::string name = key;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '/' || c == ' ' || c == ':'; }, '_');
  return folder_ / (name + ".json");
}

bool PartStore::is_own(const std::filesystem::path& path) const {
  try {
    const Json stored = read_json(path);
    const Json* identity = json_find(stored, "identity");
    return identity != nullptr && *identity == identity_;
  } catch (const Error&) {  // somebody else's, and not JSON
    return false;
  }
}

bool PartStore::has(const std::string& key) const {
  if (folder_.empty() || !std::filesystem::exists(path_of(key))) return false;
  try {
    const Json stored = read_json(path_of(key));
    const Json* identity = json_find(stored, "identity");
    return identity != nullptr && *identity == identity_ && json_find(stored, "part") != nullptr;
  } catch (const Error&) {  // damaged: it is measured again
    return false;
  }
}

Json PartStore::get(const std::string& key, const std::function<Json()>& make) const {
  if (has(key)) return read_json(path_of(key))["part"];
  Json part = make();
  if (!folder_.empty()) {
    make_folder(folder_);
    write_json(path_of(key), {{"identity", identity_}, {"part", part}});
  }
  return part;
}

void PartStore::remove() const {
  if (folder_.empty() || !std::filesystem::is_directory(folder_)) return;
  // Only what was made here: the folder may be anybody's.
  for (const auto& entry : std::filesystem::directory_iterator(folder_))
    if (entry.path().extension() == ".json" && is_own(entry.path())) remove_file(entry.path());
  if (std::filesystem::is_empty(folder_)) remove_file(folder_);
}

}  // namespace vernier
