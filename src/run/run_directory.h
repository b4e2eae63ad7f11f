#pragma once

// A run's folder and its manifest: which stage made which artefact from which inputs. A stage whose inputs are the same
// and whose artefact is still what it wrote is not run again, so a killed run goes on where it was.
//
//   run.stage("calibrate", key, "calibration.safetensors", [&](const fs::path& path) { save_calibration(..., path); });

#include <filesystem>
#include <functional>
#include <initializer_list>
#include <string>

#include "base/file_hashes.h"
#include "base/json.h"

namespace vernier {

/// The manifest of a run that has ended. One that was started again with other options and did not end leaves artefacts
/// of both: they make no report.
/// @throws Error{kBadFile} unless the artefacts in the folder are those of its last run; {kIo} when it holds no run
Json finished_manifest(const std::filesystem::path& folder);

/// Key of a stage from what decides its artefact; another version of the program is one more such thing.
std::string stage_key(std::initializer_list<std::string> parts);

class RunDirectory {
 public:
  /// Makes the folder, which is this run's alone until it ends, takes over the stages of a manifest that is there and
  /// clears away what a killed run was writing. `replace`: also where the folder holds another model's run.
  /// @throws Error{kInvalidArgument} when the manifest.json there is of something else or of another model;
  ///         Error{kIo} when another process runs in the folder
  RunDirectory(const std::filesystem::path& folder, const std::string& model_hash, bool replace);
  ~RunDirectory();
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  std::filesystem::path path(const std::string& name) const { return folder_ / name; }

  /// Whether the artefact `name` was made with that key and has not changed since, nor, of an artefact that is a `folder`'s,
  /// anything that lies beside it.
  bool is_made(const std::string& stage, const std::string& key, const std::string& name, bool folder = false) const;
  /// Runs `make` unless it is made. `make` must write path(name), whole or not at all. Returns true when it ran.
  bool stage(const std::string& stage, const std::string& key, const std::string& name,
             const std::function<void(const std::filesystem::path&)>& make, bool folder = false);

  /// Content hash of a finished artefact, which is read once: what the keys of later stages are made of.
  std::string hash(const std::string& name) const;

  /// Facts beside the stages (model, options, data); written with the next stage and by save().
  Json& facts() { return facts_; }
  void save() const;
  /// As manifest.json.
  Json manifest() const;

 private:
  void lock();
  /// Of all files in the folder of `name`, by their paths in it; "" where there is none.
  std::string hash_of_folder(const std::string& name) const;
  void take_over(const std::string& model_hash, bool replace);

  std::filesystem::path folder_;
  mutable FileHashes hashes_;
  int lock_ = -1;
  Json facts_ = Json::object();
  Json stages_ = Json::object();
};

}  // namespace vernier
