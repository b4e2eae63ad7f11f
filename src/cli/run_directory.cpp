#include "cli/run_directory.h"

#include <map>
#include <vector>

#include "base/fail.h"
#include "base/hash.h"
#include "vernier/error.h"

namespace vernier {

namespace fs = std::filesystem;

namespace {

/// What a killed run was writing: "model.gguf.4711.partial", by OutputFile.
bool is_leftover(const fs::path& path) {
  if (path.extension() != ".partial") return false;
  const std::string pid = path.stem().extension().string();
  return pid.size() > 1 && pid.find_first_not_of("0123456789", 1) == std::string::npos;
}

}  // namespace

Json finished_manifest(const fs::path& folder) {
  if (!fs::exists(folder / "manifest.json"))
    fail(ErrorKind::kIo,
         "report: {}: no manifest.json, so it is not a run's folder; `vernier run MODEL -o {}` makes one",
         folder.string(), folder.string());
  Json manifest = read_json(folder / "manifest.json");
  const Json* artefacts = json_find(manifest, "artefacts");
  if (artefacts == nullptr || !artefacts->is_object())
    fail(ErrorKind::kBadFile, "report: the last run in {} did not end; start it again", folder.string());
  for (const auto& [name, hash] : artefacts->items())
    if (!fs::exists(folder / name) || hash != hash_file(folder / name))
      fail(ErrorKind::kBadFile, "report: {} is not what the last run wrote; start it again", (folder / name).string());
  return manifest;
}

RunDirectory::RunDirectory(const fs::path& folder) : folder_(folder) {
  fs::create_directories(folder / "work");
  if (!fs::exists(path("manifest.json"))) return;
  try {
    const Json old = read_json(path("manifest.json"));
    const Json* stages = json_find(old, "stages");
    if (stages == nullptr || !stages->is_object())
      fail(ErrorKind::kInvalidArgument, "run: {} holds a manifest.json of something else; choose another --output",
           folder.string());
    stages_ = *stages;
  } catch (const Error& e) {
    if (e.kind() == ErrorKind::kInvalidArgument) throw;
    // A broken manifest only means that every stage runs again.
  }
  // Only in a folder that is a run's, and only where stages write.
  std::vector<fs::path> leftovers;
  for (const char* part : {".", "work", "work/sweep"})
    if (fs::is_directory(folder / part))
      for (const auto& entry : fs::directory_iterator(folder / part))
        if (is_leftover(entry.path())) leftovers.push_back(entry.path());
  for (const fs::path& leftover : leftovers) fs::remove(leftover);
}

bool RunDirectory::stage(const std::string& stage, const std::string& key, const std::string& name,
                         const std::function<void(const fs::path&)>& make) {
  const Json* done = json_find(stages_, stage.c_str());
  if (done != nullptr && fs::exists(path(name)) && done->value("key", "") == key &&
      done->value("artefact", "") == name && done->value("hash", "") == hash_file(path(name)))
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
