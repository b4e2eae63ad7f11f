#pragma once

// Finished parts of a sweep on disk, so that a killed diagnosis goes on where it was. A part's file is bound to everything
// its numbers depend on by a key; a file of another key is ignored.
//
//   const SweepCheckpoint checkpoint(folder, key, progress);
//   if (auto part = checkpoint.load(task)) return *part;

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "diagnose/task.h"

namespace vernier {

class SweepCheckpoint {
 public:
  /// An empty folder keeps nothing. @param units of window_groups(), 0 where the data has no groups
  SweepCheckpoint(std::filesystem::path folder, std::string key, ProgressSink* progress = nullptr, size_t units = 0)
      : folder_(std::move(folder)), key_(std::move(key)), progress_(progress), units_(units) {}

  /// What was saved of this task under the same key. Whatever else the file holds counts as absent, so that it is measured
  /// again: in silence under another key, with a warning when another version wrote it or when it is broken.
  std::optional<DiagnosisPart> load(const DiagnosisTask& task) const;
  /// @throws Error{kIo}
  void save(const DiagnosisTask& task, const DiagnosisPart& part) const;

 private:
  std::filesystem::path file(const std::string& name) const { return folder_ / (name + ".json"); }
  void warn(const std::string& message) const;

  std::filesystem::path folder_;
  std::string key_;
  ProgressSink* progress_;
  size_t units_;
};

}  // namespace vernier
