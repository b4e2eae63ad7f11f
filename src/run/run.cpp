#include "vernier/run.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "base/fail.h"
#include "run/image_rows.h"
#include "run/run_stages.h"
#include "run/stage_forecast.h"
#include "run/warning_log.h"
#include "vernier/plan.h"
#include "vernier/target.h"

namespace vernier {

namespace {
constexpr std::string_view kEfforts[] = {"screen", "confirm", "exact"};

/// Within --max-minutes: the plan, llama.cpp's mix or else the largest uniform file, and of the rest those that there is
/// time to write and to measure, larger ones first.
std::vector<RunCandidate> affordable(const RunContext& run, std::vector<RunCandidate> candidates) {
  constexpr size_t kFewest = 2;
  const double each = (run.clock.seconds_of("export") + run.clock.seconds_of("evaluate")) /
                      static_cast<double>(std::max<size_t>(candidates.size(), 1));
  size_t dropped = 0;  // uniform files come first, in order of size, the plan last
  const auto fits = [&] {
    return run.clock.has_time_for("evaluate", each * static_cast<double>(candidates.size() - dropped));
  };
  while (candidates.size() - dropped > kFewest && !fits()) ++dropped;
  if (dropped == 0) return candidates;
  std::vector<std::string> labels;
  for (size_t i = 0; i < dropped; ++i) labels.push_back(candidates[i].label);
  run.progress.warn(fmt::format("--max-minutes {:g}: no time to write and measure {}", run.options.max_minutes,
                                fmt::join(labels, "; ")));
  candidates.erase(candidates.begin(), candidates.begin() + static_cast<int64_t>(dropped));
  return candidates;
}

}  // namespace

std::string_view effort_name(Effort effort) { return kEfforts[static_cast<size_t>(effort)]; }

Effort parse_effort(std::string_view name) {
  for (size_t i = 0; i < std::size(kEfforts); ++i)
    if (kEfforts[i] == name) return static_cast<Effort>(i);
  fail(ErrorKind::kInvalidArgument, "run: effort \"{}\", expected {}", name, fmt::join(kEfforts, ", "));
}

RunResult run(const Model& model, const RunOptions& options, ProgressSink* progress) {
  const Target& target = find_target(options.target);  // says what is not supported yet
  Budget::parse(options.budget);
  WarningLog log(progress);
  RunInputs inputs = begin_inputs(model, options, log);
  RunDirectory directory(options.output, model_hash(model), options.replace);
  read_data(model, options, inputs, log);
  const std::vector<RunForecast::Stage> foretold = forecast_stages(model, options, inputs);
  warn_of_time(options, foretold, log);
  RunClock clock(options.max_minutes, foretold);
  const RunContext context{model, target, options, inputs, directory, log, clock};
  warn_of_limit(context);
  describe_run(context);
  directory.save();  // from here on the folder is a run's

  const Calibration calibration = calibrate_stage(context);
  const RunDamage damage = search_stage(context, calibration, damage_stage(context, calibration));
  const std::vector<RunCandidate> candidates = affordable(context, plan_stage(context, damage));
  export_stage(context, calibration, candidates);

  RunResult result;
  result.rows = evaluate_stage(context, candidates);
  result.chosen = choose_stage(context, candidates, result.rows);
  result.of_images = inputs.images.has_value();
  if (inputs.images && result.chosen > 0) groups_stage(context, candidates[result.chosen - 1]);
  result.limits = limit_stage(context, candidates, result.rows);
  report_stage(context);
  result.model_name = model.source().name;
  result.model_hash = model_hash(model);
  result.budget_text = options.budget;
  result.budget_bytes = inputs.budget_bytes;
  result.files = {directory.path("manifest.json"),  directory.path("calibration.safetensors"),
                  directory.path("diagnosis.json"), directory.path("plan.json"),
                  directory.path(target.output),    directory.path("evaluation.json"),
                  directory.path("report.html")};
  result.warnings = log.warnings();
  result.stages = clock.times();
  return result;
}

RunResult run(const std::string& path, const RunOptions& options, ProgressSink* progress) {
  return run(load_model(path), options, progress);
}

}  // namespace vernier
