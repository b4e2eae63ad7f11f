#pragma once

// evaluate --reliability: a set of models at once, in what accuracy does not tell.

#include <string>
#include <vector>

#include "cli/calibration_argument.h"
#include "cli/command.h"
#include "cli/image_arguments.h"
#include "vernier/measure_reliability.h"

namespace vernier {

struct ReliabilityArguments {
  bool wanted = false;
  std::vector<std::string> schemes, plans, others, dimensions, corruptions;
  std::vector<double> radii = {1, 2, 4, 8};  // in 255ths
  std::string ood, output, page;
  int64_t shots = 0;
  bool perturb_text = false;
  ReliabilityOptions options{};

  void add(CLI::App& command, CommandFiles& files);
  /// What it shares with evaluating otherwise.
  struct Shared {
    const CLI::App& command;
    const std::string& model;
    const std::string& reference;  ///< what the others are compared with; empty: the model itself
    const DataArguments& data;
    const ImageArguments& images;
    int64_t image_count;  ///< 0: all
    ComputeOptions compute;
    Activations activations;  ///< of all but what they are compared with, where these do not say themselves
    const CalibrationArgument& calibration;
    bool different_tokenizers = false;
  };
  void run(const Shared& shared, const JsonArgument& json, Console& console);

 private:
  ReliabilityRequest request(const Shared& shared) const;
  void finish(const Reliability& found, const JsonArgument& json, Console& console) const;
};

}  // namespace vernier
