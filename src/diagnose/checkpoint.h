#pragma once

// Finished parts of a sweep on disk, so that a killed diagnosis goes on where it was. A part's file is bound to everything
// its numbers depend on by a key; a file of another key is ignored.
//
//   const SweepCheckpoint checkpoint(folder, key, progress);
//   if (auto part = checkpoint.load("L3", components, tensors)) return *part;

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "vernier/diagnose.h"

namespace vernier {

/// What was found in one layer, or in one matrix outside the layers.
struct SweepPart {
  std::vector<ComponentDamage> components;
  std::vector<WeightFacts> weight_facts;
  double control_kl = 0;  ///< nats; the largest KL of a perturbation by nothing
};

class SweepCheckpoint {
 public:
  /// An empty folder keeps nothing.
  SweepCheckpoint(std::filesystem::path folder, std::string key, ProgressSink* progress = nullptr)
      : folder_(std::move(folder)), key_(std::move(key)), progress_(progress) {}

  /// What was saved as `name` under the same key, if it is about these components and tensors in this order. Whatever
  /// else the file holds counts as absent, so that it is measured again: in silence under another key, with a warning
  /// when another version wrote it or when it is broken.
  std::optional<SweepPart> load(const std::string& name, const std::vector<Component>& components,
                                const std::vector<TensorId>& tensors) const;
  /// @throws Error{kIo}
  void save(const std::string& name, const SweepPart& part) const;

 private:
  std::filesystem::path file(const std::string& name) const { return folder_ / (name + ".json"); }
  void warn(const std::string& message) const;

  std::filesystem::path folder_;
  std::string key_;
  ProgressSink* progress_;
};

}  // namespace vernier
