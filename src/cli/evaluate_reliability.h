#pragma once

// evaluate --reliability: a set of models at once, in what accuracy does not tell.

#include <string>
#include <vector>

#include "cli/command.h"
#include "vernier/measure_reliability.h"

namespace vernier {

struct ReliabilityArguments {
  bool wanted = false;
  std::vector<std::string> schemes, plans, others, dimensions, corruptions, classes, radii;
  std::string ood, output, page, prompts = "single";
  int64_t images = 0;
  bool perturb_text = false;
  ReliabilityOptions options{};

  void add(CLI::App& command, CommandFiles& files);
  /// @param reference what the others are compared with; empty: the model itself
  void run(const std::string& model, const std::string& reference, const DataArguments& data,
           const ComputeOptions& compute, const JsonArgument& json, Console& console);
};

}  // namespace vernier
