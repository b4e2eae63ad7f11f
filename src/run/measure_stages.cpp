#include "run/run_stages.h"
#include "vernier/planning.h"

namespace vernier {

namespace {
constexpr const char* kCalibration = "calibration.safetensors";
}  // namespace

std::string dtype_name(ComputeType type) { return type == ComputeType::kBFloat16 ? "bf16" : "f32"; }

Calibration calibrate_stage(const RunContext& run) {
  const EvaluationData& data = run.inputs.calibration;
  const ComputeOptions& compute = run.options.compute;
  run.stage("calibrate", "calibrate", stage_key({model_hash(run.model), data.hash, dtype_name(compute.type)}),
            kCalibration, [&](const std::filesystem::path& path) {
              save_calibration(calibrate(run.model, data, compute, &run.progress), path);
            });
  return load_calibration(run.directory.path(kCalibration));
}

Diagnosis diagnose_stage(const RunContext& run, const Calibration& calibration) {
  DiagnoseOptions options = planning_diagnosis(run.options.target, run.options.scheme);
  options.compute = run.options.compute;
  options.checkpoint = run.directory.path("work/sweep");
  const EvaluationData& data = run.inputs.diagnosis;
  run.stage("diagnose", "diagnose",
            stage_key({run.directory.hash(kCalibration), data.hash, run.options.scheme, run.options.target,
                       dtype_name(options.compute.type)}),
            kDiagnosis, [&](const std::filesystem::path& path) {
              write_json(path, diagnosis_to_json(diagnose(run.model, calibration, data, options, &run.progress)));
            });
  return diagnosis_from_json(read_json(run.directory.path(kDiagnosis)), kDiagnosis);
}

}  // namespace vernier
