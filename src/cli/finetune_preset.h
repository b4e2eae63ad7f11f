#pragma once

// Options of `vernier finetune` that go together, a row each. What they are worth: docs/finetune_experiments.md.

#include <CLI/CLI.hpp>
#include <string>
#include <utility>
#include <vector>

#include "vernier/model.h"

namespace vernier {

struct FinetunePreset {
  std::string name;
  std::string about;  ///< the models that it is for
  bool (*takes)(const Model& model) = nullptr;
  std::vector<std::pair<std::string, std::string>> options;  ///< and their values; of flags "true"
  std::vector<const char*> others;                           ///< of other ways to learn: not beside these
};

const std::vector<FinetunePreset>& finetune_presets();

/// Gives `command`, parsed, what the preset of that name has and the call leaves out.
/// @throws Error{kInvalidArgument} for options of other ways to learn, and names that there are not
void follow_preset(CLI::App& command, const std::string& name);
/// @throws Error{kInvalidArgument} where it is not for such models
void check_preset(const std::string& name, const Model& model);

/// "images: for ... (--batch 128 ...); ...".
std::string presets_help();

}  // namespace vernier
