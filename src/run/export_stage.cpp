#include "run/run_stages.h"
#include "vernier/export.h"
#include "vernier/quantize.h"

namespace vernier {

void export_stage(const RunContext& run, const Calibration& calibration, const std::vector<RunCandidate>& candidates) {
  const int threads = resolve_threads(run.options.compute);
  for (const RunCandidate& c : candidates)
    run.directory.stage(
        "export " + c.label,
        stage_key({run.directory.hash(c.plan), run.directory.hash("calibration.safetensors"), model_hash(run.model),
                   run.inputs.exported_as}),
        c.file, [&](const std::filesystem::path& path) {
          export_gguf(quantize(run.model, calibration, load_plan(run.directory, c.plan), threads, &run.progress),
                      run.inputs.tokenizer, path, run.options.file, &run.progress);
        });
}

}  // namespace vernier
