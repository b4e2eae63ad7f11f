#include "diagnose/sweep_cost.h"
#include "run/image_forecast.h"
#include "run/run_inputs.h"
#include "run/stage_forecast.h"
#include "run/warning_log.h"
#include "vernier/planning.h"
#include "vernier/target.h"

namespace vernier {

RunForecast forecast_run(const Model& model, const RunOptions& options, ProgressSink* progress) {
  const Target& target = find_target(options.target);
  Budget::parse(options.budget);
  WarningLog log(progress);
  RunInputs inputs = begin_inputs(model, options, log);
  read_data(model, options, inputs, log);
  RunForecast forecast;
  forecast.budget_bytes = inputs.budget_bytes;
  for (const std::string& scheme : planning_rules(options.target, options.codebooks).schemes) {
    const Plan plan = plan_uniform(model, scheme, options.target);
    const uint64_t bytes = target.counted_bytes(model, plan, inputs.tokenizer, options.file);
    forecast.uniform_files.push_back({plan.label, bytes, bits_per_weight(bytes, model), fallback_lines(plan)});
  }
  DiagnoseOptions diagnosis = planning_diagnosis(options.target, options.scheme, options.codebooks);
  diagnosis.compute = options.compute;
  forecast.components = components_of(model.config(), diagnosis.kinds).size();
  forecast.diagnose_windows =
      inputs.images ? inputs.images->diagnosis.inputs.images : static_cast<int64_t>(inputs.diagnosis.windows.size());
  forecast.threads = resolve_threads(options.compute);
  forecast.stages = forecast_stages(model, options, inputs);
  warn_of_time(options, forecast.stages, log);
  forecast.exact_seconds = inputs.images
                               ? image_diagnosis_seconds(model, options, inputs)
                               : diagnosis_seconds(model, diagnosis, forecast.diagnose_windows, options.context);
  for (const RunForecast::Stage& stage : forecast.stages) forecast.seconds += stage.seconds;
  forecast.peak_bytes = forecast_peak_bytes(model, options, inputs);
  forecast.warnings = log.warnings();
  return forecast;
}

}  // namespace vernier
