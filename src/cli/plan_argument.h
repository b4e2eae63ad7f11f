#pragma once

// --plan, --recipe or --scheme: the three ways to say which tensor gets which scheme.

#include <CLI/CLI.hpp>
#include <string>

#include "cli/command_files.h"
#include "vernier/model.h"
#include "vernier/plan.h"

namespace vernier {

struct PlanArgument {
  std::string plan, recipe, scheme;
  void add(CLI::App& app, CommandFiles& files);
  /// @throws Error{kInvalidArgument, kBadFile} unless exactly one was given
  Plan load(const Model& model) const;
};

}  // namespace vernier
