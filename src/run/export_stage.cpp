#include "base/forwarded_progress.h"
#include "run/run_stages.h"
#include "vernier/export.h"
#include "vernier/quantize.h"

namespace vernier {

std::string written_as(const Target& target, const std::string& name) {
  return target.weights_file(name + std::filesystem::path(target.output).extension().string()).string();
}

std::filesystem::path output_of(const Target& target, const std::filesystem::path& artefact) {
  return target.is_folder() ? artefact.parent_path() : artefact;
}

std::string chosen_file(const Target& target) { return target.weights_file(target.output).string(); }

void export_stage(const RunContext& run, const Calibration& calibration, const std::vector<RunCandidate>& candidates) {
  const int threads = resolve_threads(run.options.compute);
  for (const RunCandidate& c : candidates)
    run.stage(
        "export", "export " + c.label,
        stage_key({run.directory.hash(c.plan), run.directory.hash("calibration.safetensors"), model_hash(run.model),
                   run.inputs.exported_as}),
        c.file,
        [&](const std::filesystem::path& path) {
          NamedProgress named(&run.progress, c.label);
          export_model(run.target, quantize(run.model, calibration, load_plan(run.directory, c.plan), threads),
                       run.inputs.tokenizer, output_of(run.target, path), run.options.file, &named);
        },
        run.target.is_folder());
}

}  // namespace vernier
