#pragma once

// Finished layers of a sweep on disk, so that a killed diagnosis goes on where it was. A layer's file is bound to
// everything its numbers depend on by a key; a file of another key is ignored.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "vernier/diagnose.h"

namespace vernier {

class SweepCheckpoint {
 public:
  /// An empty folder keeps nothing.
  SweepCheckpoint(std::filesystem::path folder, std::string key) : folder_(std::move(folder)), key_(std::move(key)) {}

  /// What was saved as `part` under the same key. A broken file counts as absent: it is made again.
  std::optional<nlohmann::ordered_json> load(const std::string& part) const;
  /// @throws Error{kIo}
  void save(const std::string& part, const nlohmann::ordered_json& content) const;

 private:
  std::filesystem::path folder_;
  std::string key_;
};

}  // namespace vernier
