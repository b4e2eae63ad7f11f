#include "data/named_texts.h"
#include "diagnose/sweep_cost.h"
#include "run/run_inputs.h"
#include "run/warning_log.h"
#include "vernier/planning.h"
#include "vernier/target.h"

namespace vernier {

namespace {

/// Read only where the number of windows depends on it.
int64_t windows_to_diagnose(const RunOptions& options, const RunInputs& inputs, ProgressSink& progress) {
  if (options.diagnose_windows > 0) return options.diagnose_windows;
  const TokenizedText text = calibration_text(Tokenizer(inputs.tokenizer), options.calibration_text, &progress);
  return static_cast<int64_t>(diagnosis_windows(text, options.context, 0, &progress).windows.size());
}

}  // namespace

RunForecast forecast_run(const Model& model, const RunOptions& options, ProgressSink* progress) {
  const Target& target = find_target(options.target);
  Budget::parse(options.budget);
  WarningLog log(progress);
  const RunInputs inputs = begin_inputs(model, options, log);
  RunForecast forecast;
  forecast.budget_bytes = inputs.budget_bytes;
  for (const std::string& scheme : target.rules.schemes) {
    const Plan plan = plan_uniform(model, scheme, options.target);
    const uint64_t bytes = target.counted_bytes(model, plan, inputs.tokenizer, options.file);
    forecast.uniform_files.push_back({plan.label, bytes, bits_per_weight(bytes, model), fallback_lines(plan)});
  }
  DiagnoseOptions diagnosis = planning_diagnosis(options.target, options.scheme);
  diagnosis.compute = options.compute;
  forecast.components = components_of(model.config(), diagnosis.kinds).size();
  forecast.diagnose_windows = windows_to_diagnose(options, inputs, log);
  forecast.threads = resolve_threads(options.compute);
  forecast.diagnose_seconds = diagnosis_seconds(model, diagnosis, forecast.diagnose_windows, options.context);
  forecast.warnings = log.warnings();
  return forecast;
}

}  // namespace vernier
