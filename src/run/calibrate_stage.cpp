#include <fmt/format.h>

#include <filesystem>

#include "base/output_file.h"
#include "run/run_stages.h"
#include "vernier/error.h"
#include "vernier/planning.h"
#include "vernier/value_search.h"

namespace vernier {

namespace {
constexpr const char* kCalibration = "calibration.safetensors";

/// One that was made before calibrations kept their text, or images, is of no use to searches that ask for it.
void forget_calibration_without_inputs(const RunContext& run) {
  const std::filesystem::path path = run.directory.path(kCalibration);
  if (!std::filesystem::exists(path) ||
      find_value_search(method_of(run.model, run.options)).needs != ValueSearch::Needs::kGram)
    return;
  Calibration earlier;
  try {
    earlier = load_calibration(path);
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::kBadFile) throw;
    return;  // the stage sees that it is not what it wrote, and makes it again
  }
  if (run.inputs.images ? earlier.images.defined() : !earlier.text.empty()) return;
  run.progress.warn(fmt::format("{} of an earlier version does not hold its {}; it is made again", kCalibration,
                                run.inputs.images ? "images" : "text"));
  remove_file(path);
}
}  // namespace

std::string dtype_name(ComputeType type) { return type == ComputeType::kBFloat16 ? "bf16" : "f32"; }

Calibration calibrate_stage(const RunContext& run) {
  const ComputeOptions& compute = run.options.compute;
  const RunInputs& in = run.inputs;
  const std::string& hash = in.images ? in.images->calibration.inputs.hash : in.calibration.hash;
  forget_calibration_without_inputs(run);
  run.stage("calibrate", "calibrate", stage_key({model_hash(run.model), hash, dtype_name(compute.type)}), kCalibration,
            [&](const std::filesystem::path& path) {
              save_calibration(in.images
                                   ? calibrate_vision(run.model, in.images->calibration.inputs, compute, &run.progress)
                                   : calibrate(run.model, in.calibration, compute, &run.progress),
                               path);
            });
  return load_calibration(run.directory.path(kCalibration));
}

}  // namespace vernier
