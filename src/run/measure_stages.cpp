#include <fmt/format.h>

#include <filesystem>

#include "run/run_stages.h"
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
  const Calibration earlier = load_calibration(path);
  if (run.inputs.images ? earlier.images.defined() : !earlier.text.empty()) return;
  run.progress.warn(fmt::format("{} of an earlier version does not hold its {}; it is made again", kCalibration,
                                run.inputs.images ? "images" : "text"));
  std::filesystem::remove(path);
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

Diagnosis diagnose_stage(const RunContext& run, const Calibration& calibration) {
  DiagnoseOptions options = planning_diagnosis(run.options.target, run.options.scheme, run.options.codebooks);
  options.compute = run.options.compute;
  options.checkpoint = run.directory.path("work/sweep");
  const RunInputs& in = run.inputs;
  const std::string& hash = in.images ? in.images->diagnosis.inputs.hash : in.diagnosis.hash;
  run.stage("diagnose", "diagnose",
            stage_key({run.directory.hash(kCalibration), hash, run.options.scheme, run.options.target,
                       dtype_name(options.compute.type), run.options.codebooks ? "codebooks" : ""}),
            kDiagnosis, [&](const std::filesystem::path& path) {
              write_json(path,
                         diagnosis_to_json(
                             in.images ? diagnose(run.model, calibration, in.images->diagnosis, options, &run.progress)
                                       : diagnose(run.model, calibration, in.diagnosis, options, &run.progress)));
            });
  return diagnosis_from_json(read_json(run.directory.path(kDiagnosis)), kDiagnosis);
}

}  // namespace vernier
