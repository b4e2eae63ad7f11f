#pragma once

// --calibration is the artefact of `vernier calibrate` in every subcommand, --calibration-text what it is made from.
// Whoever gives one for the other is told which option takes it.

#include <filesystem>
#include <string>
#include <vector>

#include "cli/console.h"
#include "vernier/calibrate.h"

namespace vernier {

/// --calibration.
struct CalibrationArgument {
  std::string path;
  CLI::Option* add(CLI::App& app, CommandFiles& files);
  /// @throws Error{kInvalidArgument} for what was meant as text; {kBadFile, kIo} as load_calibration
  Calibration load() const;
  /// Static ranges of activations, none without a calibration; a warning where it is of none of `models`, some nullptr.
  ActivationRanges ranges(const std::vector<const Model*>& models, Console& console) const;
};

/// By its name or its first bytes, the length of a JSON header that fits into the file.
bool is_safetensors(const std::filesystem::path& path);

/// --calibration-text.
struct CalibrationTextArgument {
  std::vector<std::string> files;
  void add(CLI::App& app, CommandFiles& io, const std::string& help);
  /// @throws Error{kInvalidArgument} for the artefact instead of a text
  void check() const;

 private:
  std::vector<std::string> artefact_;  // --calibration, which these subcommands once meant as text
};

}  // namespace vernier
