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

std::string export_key(const RunContext& run, const RunCandidate& candidate) {
  return stage_key({run.directory.hash(candidate.plan), run.directory.hash("calibration.safetensors"),
                    model_hash(run.model), run.inputs.exported_as});
}

std::optional<SearchEffect> export_candidate(const RunContext& run, const Calibration& calibration,
                                             const RunCandidate& candidate) {
  std::optional<SearchEffect> effect;
  run.stage(
      "export", "export " + candidate.label, export_key(run, candidate), candidate.file,
      [&](const std::filesystem::path& path) {
        NamedProgress named(&run.progress, candidate.label);
        const QuantizedModel quantized = quantize(run.model, calibration, load_plan(run.directory, candidate.plan),
                                                  resolve_threads(run.options.compute));
        export_model(run.target, quantized, run.inputs.tokenizer, output_of(run.target, path), run.options.file,
                     &named);
        effect = quantized.search_effect();
      },
      run.target.is_folder());
  return effect;
}

void export_stage(const RunContext& run, const Calibration& calibration, const std::vector<RunCandidate>& candidates) {
  for (const RunCandidate& candidate : candidates) export_candidate(run, calibration, candidate);
}

}  // namespace vernier
