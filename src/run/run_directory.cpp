#include "run/run_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <vector>

#include "base/fail.h"
#include "base/hash.h"
#include "base/output_file.h"
#include "vernier/error.h"
#include "vernier/version.h"

namespace vernier {

namespace fs = std::filesystem;

namespace {

/// A member that is a text; `fallback` for anything else, and in what is no object: the file may be damaged.
std::string text_in(const Json* object, const char* key, const std::string& fallback) {
  const Json* member = object == nullptr || !object->is_object() ? nullptr : json_find(*object, key);
  return member == nullptr || !member->is_string() ? fallback : member->get<std::string>();
}

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

std::string stage_key(std::initializer_list<std::string> parts) {
  Hasher hasher;
  hasher.add(VERNIER_VERSION);
  for (const std::string& part : parts) hasher.add(part);
  return hasher.hex();
}

RunDirectory::RunDirectory(const fs::path& folder, const std::string& model_hash, bool replace) : folder_(folder) {
  make_folder(folder / "work");
  lock();
  try {
    if (fs::exists(path("manifest.json"))) take_over(model_hash, replace);
  } catch (...) {
    ::close(lock_);
    throw;
  }
}

RunDirectory::~RunDirectory() { ::close(lock_); }

/// The system lets go of the lock however the process ends.
void RunDirectory::lock() {
  const fs::path file = path("work/lock");
  lock_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (lock_ < 0) fail(ErrorKind::kIo, "run: open {}: {}", file.string(), std::strerror(errno));
  if (::flock(lock_, LOCK_EX | LOCK_NB) == 0) return;
  const int code = errno;
  ::close(lock_);
  if (code != EWOULDBLOCK) fail(ErrorKind::kIo, "run: lock {}: {}", file.string(), std::strerror(code));
  fail(ErrorKind::kIo, "run: another run is writing to {}; wait for it or choose another --output", folder_.string());
}

void RunDirectory::take_over(const std::string& model_hash, bool replace) {
  try {
    const Json old = read_json(path("manifest.json"));
    const Json* stages = json_find(old, "stages");
    if (stages == nullptr || !stages->is_object())
      fail(ErrorKind::kInvalidArgument, "run: {} holds a manifest.json of something else; choose another --output",
           folder_.string());
    const Json* model = json_find(old, "model");
    const std::string before = text_in(model, "hash", model_hash);
    if (before != model_hash && !replace)
      fail(ErrorKind::kInvalidArgument,
           "run: {} holds the run of another model, {}; choose another --output, or --force to replace it",
           folder_.string(), text_in(model, "name", "without a name"));
    stages_ = *stages;
  } catch (const Error& e) {
    if (e.kind() == ErrorKind::kInvalidArgument) throw;
    // A broken manifest only means that every stage runs again.
  }
  // Only in a folder that is a run's, and only where stages write.
  std::vector<fs::path> leftovers;
  for (const char* part : {".", "work", "work/sweep"})
    if (fs::is_directory(folder_ / part))
      for (const auto& entry : fs::directory_iterator(folder_ / part))
        if (is_leftover(entry.path())) leftovers.push_back(entry.path());
  for (const fs::path& leftover : leftovers) remove_file(leftover);
}

bool RunDirectory::is_made(const std::string& stage, const std::string& key, const std::string& name,
                           bool folder) const {
  const Json* done = json_find(stages_, stage.c_str());
  return fs::exists(path(name)) && text_in(done, "key", "") == key && text_in(done, "artefact", "") == name &&
         text_in(done, "hash", "") == hash(name) &&
         (!folder || text_in(done, "folder_hash", "") == hash_of_folder(name));
}

bool RunDirectory::stage(const std::string& stage, const std::string& key, const std::string& name,
                         const std::function<void(const fs::path&)>& make, bool folder) {
  if (is_made(stage, key, name, folder)) return false;
  make(path(name));
  stages_[stage] = {{"key", key}, {"artefact", name}, {"hash", hash(name)}};
  if (folder) stages_[stage]["folder_hash"] = hash_of_folder(name);
  save();
  return true;
}

std::string RunDirectory::hash(const std::string& name) const { return hashes_.of(path(name)); }

std::string RunDirectory::hash_of_folder(const std::string& name) const {
  const fs::path folder = path(name).parent_path();
  std::map<std::string, std::string> hashes;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) hashes[fs::relative(entry.path(), folder).generic_string()] = hashes_.of(entry.path());
  Hasher hasher;
  for (const auto& [file, hash] : hashes) {
    hasher.add(file);
    hasher.add(hash);
  }
  return hasher.hex();
}

Json RunDirectory::manifest() const {
  Json json = {{"kind", "run"}};
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
