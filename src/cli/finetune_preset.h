#pragma once

// Options of `vernier finetune` that go together, a row each. What they are worth: docs/finetune_experiments.md.

#include <CLI/CLI.hpp>
#include <string>
#include <utility>
#include <vector>

namespace vernier {

struct FinetunePreset {
  std::string name;
  std::string about;                                         ///< one clause, for help texts
  std::vector<std::pair<std::string, std::string>> options;  ///< and their values; of flags "true"
};

const std::vector<FinetunePreset>& finetune_presets();

/// Gives `command`, parsed, what the preset of that name has and the call leaves out.
void follow_preset(CLI::App& command, const std::string& name);

/// "images: ... (--batch 128 ...); ...".
std::string presets_help();

}  // namespace vernier
