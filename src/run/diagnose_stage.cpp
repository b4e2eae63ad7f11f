#include <filesystem>

#include "run/run_stages.h"
#include "vernier/planning.h"

namespace vernier {

Diagnosis diagnose_stage(const RunContext& run, const Calibration& calibration) {
  DiagnoseOptions options = planning_diagnosis(run.options.target, run.options.scheme, run.options.codebooks);
  options.compute = run.options.compute;
  options.checkpoint = run.directory.path("work/sweep");
  const RunInputs& in = run.inputs;
  const std::string& hash = in.images ? in.images->diagnosis.inputs.hash : in.diagnosis.hash;
  run.stage("diagnose", "diagnose",
            stage_key({run.directory.hash("calibration.safetensors"), hash, run.options.scheme, run.options.target,
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
