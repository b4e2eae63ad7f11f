#include "cli/run_directory.h"

#include <map>
#include <vector>

#include "base/hash.h"
#include "vernier/error.h"

namespace vernier {

namespace fs = std::filesystem;

RunDirectory::RunDirectory(const fs::path& folder) : folder_(folder) {
  fs::create_directories(folder);
  // What a killed run was writing; nothing else ends so.
  std::vector<fs::path> leftovers;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.path().extension() == ".partial") leftovers.push_back(entry.path());
  for (const fs::path& leftover : leftovers) fs::remove(leftover);
  try {
    if (fs::exists(path("manifest.json"))) {
      const Json old = read_json(path("manifest.json"));
      if (const Json* stages = json_find(old, "stages"); stages != nullptr && stages->is_object()) stages_ = *stages;
    }
  } catch (const Error&) {
    // A broken manifest only means that every stage runs again.
  }
}

bool RunDirectory::stage(const std::string& stage, const std::string& key, const std::string& name,
                         const std::function<void(const fs::path&)>& make) {
  const Json* done = json_find(stages_, stage.c_str());
  if (done != nullptr && fs::exists(path(name)) && done->value("key", "") == key && done->value("artefact", "") == name &&
      done->value("hash", "") == hash_file(path(name)))
    return false;
  make(path(name));
  stages_[stage] = {{"key", key}, {"artefact", name}, {"hash", hash_file(path(name))}};
  save();
  return true;
}

std::string RunDirectory::hash(const std::string& name) const { return hash_file(path(name)); }

Json RunDirectory::manifest() const {
  Json json;
  json["schema_version"] = 1;
  json.update(facts_);
  // Sorted by name: the order of stages must not depend on which of them were resumed.
  std::map<std::string, Json> sorted;
  for (const auto& [name, stage] : stages_.items()) sorted[name] = stage;
  json["stages"] = sorted;
  return json;
}

void RunDirectory::save() const { write_json(path("manifest.json"), manifest()); }

}  // namespace vernier
