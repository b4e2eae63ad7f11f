#pragma once

// --plan, --recipe or --scheme: the three ways to say which tensor gets which scheme; and --method, how its values are
// searched.

#include <CLI/CLI.hpp>
#include <string>

#include "cli/calibration_argument.h"
#include "cli/command_files.h"
#include "cli/console.h"
#include "vernier/calibrate.h"
#include "vernier/model.h"
#include "vernier/plan.h"

namespace vernier {

/// "importance: least error ...; nearest: ..." for help texts.
std::string described_searches();

struct PlanArgument {
  std::string plan, recipe, scheme, method;
  void add(CLI::App& app, CommandFiles& files);
  /// The plan with its method. `target`: whom a plan that is made here is for. Warns of a plan that was made for other
  /// weights: what its bits do was foretold of those.
  /// @throws Error{kInvalidArgument, kBadFile} unless exactly one of the three was given
  Plan load(const Model& model, const std::string& target, Console& console) const;

 private:
  Plan load_schemes(const Model& model, const std::string& target, Console& console) const;
};

/// plan.json; warns where it was made for other weights than the model's. @throws Error{kIo, kBadFile}
Plan read_plan(const std::string& path, const Model& model, Console& console);

/// --calibration, an artefact, as far as the plan's method needs one.
/// @throws Error{kInvalidArgument} when it is needed and was not given
Calibration calibration_for(const Plan& plan, const CalibrationArgument& calibration);

}  // namespace vernier
