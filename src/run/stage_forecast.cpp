#include "run/stage_forecast.h"

#include <fmt/format.h>

#include <algorithm>

#include "diagnose/sweep_cost.h"
#include "run/image_forecast.h"
#include "run/run_stages.h"
#include "screen/screen_memory.h"
#include "vernier/confirm.h"
#include "vernier/planning.h"
#include "vernier/refine.h"
#include "vernier/screen.h"
#include "vernier/target.h"
#include "vernier/value_search.h"

namespace vernier {

namespace {

class StageForecast {
 public:
  StageForecast(const Model& model, const RunOptions& options, const RunInputs& inputs)
      : model_(model),
        options_(options),
        inputs_(inputs),
        schemes_(planning_rules(options.target, options.codebooks).schemes),
        threads_(resolve_threads(options.compute)),
        units_(time_sweep(model, options.compute, threads_, options.context)),
        encoding_(encoding_seconds(model, schemes_, threads_)) {}

  double calibrate() const { return rounds(inputs_.calibration) * depth() * units_.block; }

  double screen() const {
    // Forward, forward again and backward by ATen, whose operations are not fused: measured, in forwards of the engine.
    constexpr double kPasses = 6,
                     kLimitPasses = 2;  // the limit's sums of outer products are as much work as one or two
    const bool limit = makes_limit(model_, options_, inputs_);
    double all = 0;
    for (const ScreenText& text : inputs_.screened) all += rounds(text.data);
    return all * (kPasses + (limit ? kLimitPasses : 0)) * forward() + encoding_ +
           (limit ? limit_core_seconds(model_) / threads_ : 0);
  }

  double confirm() const {
    constexpr double kOnTheCut = 8;    // matrices, as a rule
    constexpr double kShare = 0.5;     // of the windows, until an interval is tight enough
    constexpr double kBasePasses = 4;  // one for each time that something is measured
    const ModelConfig& config = model_.config();
    double outside = 0, inside = 0, matrices = 0;
    for (const TensorId& id : model_.matrices()) {
      const double seconds = component_seconds(component_of(id), config, units_);
      (id.layer < 0 ? outside : inside) += seconds;
      matrices += id.layer < 0 ? 0 : 1;
    }
    const double measured = static_cast<double>(ConfirmOptions().sample) + kOnTheCut;
    return rounds(inputs_.diagnosis) * (outside + kShare * std::min(1.0, measured / std::max(1.0, matrices)) * inside +
                                        kBasePasses * forward()) +
           encoding_ / static_cast<double>(schemes_.size());
  }

  double diagnose() const {
    DiagnoseOptions diagnosis = planning_diagnosis(options_.target, options_.scheme, options_.codebooks);
    diagnosis.compute = options_.compute;
    return diagnosis_seconds(model_, diagnosis, static_cast<int64_t>(inputs_.diagnosis.windows.size()),
                             options_.context);
  }

  double refine() const {
    constexpr double kWithReference = 1.25;  // four exchanges share one pass of the reference
    constexpr double kJudging = 4;  // two plans and the reference, and the first plan where exchanges start from
    const auto exchanges = static_cast<double>(RefineOptions().exchanges);
    // Every exchange rounds what it exchanges: one tensor of the file, be it a stack of experts.
    const std::vector<TensorId> matrices = model_.matrices();
    const auto stacks = static_cast<double>(
        std::count_if(matrices.begin(), matrices.end(), [](const TensorId& id) { return id.expert <= 0; }));
    return rounds(inputs_.diagnosis) / 2 * (kWithReference * exchanges + kJudging) * forward() +
           (2 + exchanges / stacks) * encoding_ / static_cast<double>(schemes_.size());
  }

  double exporting() const {
    return files() * encoding_ / static_cast<double>(schemes_.size()) + search_seconds(model_, options_, threads_);
  }

  double evaluate() const {
    const double windows = rounds(inputs_.text) + (inputs_.groups ? rounds(*inputs_.groups) : 0);
    return windows * (1 + files()) * forward();
  }

 private:
  double depth() const { return model_.config().depth(); }
  double forward() const { return (depth() - 1) * units_.block + units_.last_block + units_.scores; }

  /// Windows that run one after the other; short ones count by their length.
  double rounds(const EvaluationData& data) const {
    double tokens = 0;
    for (const TokenWindow& window : data.windows) tokens += static_cast<double>(window.tokens.size());
    return tokens / static_cast<double>(options_.context) / threads_;
  }

  /// That are written and evaluated: the plan, the preset, and uniform ones.
  double files() const {
    constexpr double kNotRuledOut = 2;
    if (!measures_all_files(model_, options_, inputs_)) return kNotRuledOut;
    double fit = options_.target == "llama.cpp" ? 2 : 1;
    for (const std::string& scheme : schemes_) {
      const Plan plan = plan_uniform(model_, scheme, options_.target);
      fit += find_target(options_.target).counted_bytes(model_, plan, inputs_.tokenizer, options_.file) <=
             inputs_.budget_bytes;
    }
    return fit;
  }

  const Model& model_;
  const RunOptions& options_;
  const RunInputs& inputs_;
  const std::vector<std::string> schemes_;
  int threads_;
  SweepUnits units_;
  double encoding_;  // of all matrices in all schemes
};

}  // namespace

double search_seconds(const Model& model, const RunOptions& options, int threads) {
  constexpr double kSeconds = 6.5e-6;  // of a core for a weight, where errors are fed back
  const bool searches = find_value_search(method_of(model, options)).needs == ValueSearch::Needs::kGram;
  constexpr double kFiles = 2;  // the plan's, and the best uniform one
  return searches ? kFiles * kSeconds * static_cast<double>(model.parameters()) / threads : 0;
}

std::vector<RunForecast::Stage> forecast_stages(const Model& model, const RunOptions& options,
                                                const RunInputs& inputs) {
  if (options.compute.device != "cpu") return {};
  if (inputs.images) return forecast_image_stages(model, options, inputs);
  const StageForecast of(model, options, inputs);
  std::vector<RunForecast::Stage> stages = {{"calibrate", of.calibrate()}};
  if (options.effort == Effort::kExact) stages.push_back({"diagnose", of.diagnose()});
  if (options.effort != Effort::kExact) stages.push_back({"screen", of.screen()});
  if (options.effort == Effort::kConfirm) stages.push_back({"confirm", of.confirm()});
  if (options.second_round) stages.push_back({"refine", of.refine()});
  stages.push_back({"export", of.exporting()});
  stages.push_back({"evaluate", of.evaluate()});
  return stages;
}

void warn_of_time(const RunOptions& options, const std::vector<RunForecast::Stage>& foretold, ProgressSink& progress) {
  double least = 0;
  for (const RunForecast::Stage& stage : foretold) least += stage.stage == "confirm" ? 0 : stage.seconds;
  if (options.max_minutes <= 0 || least <= 60 * options.max_minutes) return;
  progress.warn(fmt::format(
      "--max-minutes {:g}: {} takes about {:.1f} minutes even if nothing is confirmed, less where files that the plan "
      "is compared with are left out; fewer --windows, --calibration-windows, --screen-windows or documents of "
      "--groups "
      "make it shorter",
      options.max_minutes, options.effort == Effort::kExact ? "--effort exact" : "this run", least / 60));
}

uint64_t forecast_peak_bytes(const Model& model, const RunOptions& options, const RunInputs& inputs) {
  constexpr double kProgram = 300e6;  // libtorch, tables of the tokenizer, results
  if (inputs.images) return static_cast<uint64_t>(image_run_bytes(model, options, inputs) + kProgram);
  const ModelConfig& c = model.config();
  const auto parameters = static_cast<double>(model.parameters());
  const double packed = 4 * parameters, embedding = 4 * static_cast<double>(c.vocabulary * c.hidden);
  const double threads = resolve_threads(options.compute);
  // Per thread: a layer's states; while gradients are taken, also what they are made of.
  const double context = static_cast<double>(options.context), hidden = static_cast<double>(c.hidden),
               intermediate = static_cast<double>(c.layer(0).feed_forward.intermediate);
  const double states = threads * context * (8 * hidden + 3 * intermediate) * 4;
  const double taped = threads * static_cast<double>(layer_backward_bytes(c, 1, options.context));
  double peak = 4 * 2 * embedding + states;  // evaluate: output matrices of the reference and a few files
  if (options.effort != Effort::kScreen) peak = std::max(peak, packed + embedding + states);  // what is swept
  if (options.second_round)
    peak = std::max(peak, 5 * (packed + embedding) + states);  // four exchanges and the reference
  if (options.effort != Effort::kExact) {
    double tokens = 0;
    for (const ScreenText& text : inputs.screened)
      tokens += static_cast<double>(text.data.windows.size()) * options.context;
    const double streams = tokens * static_cast<double>(c.hidden) * 4 * c.depth();
    const auto schemes = static_cast<double>(planning_rules(options.target, options.codebooks).schemes.size());
    const double layer = (parameters - embedding / 4) / c.depth() * 4;
    peak = std::max(peak, std::min(streams, static_cast<double>(kScreenStreamBytes)) + (3 + schemes) * layer + taped);
  }
  return static_cast<uint64_t>(peak + kProgram);
}

}  // namespace vernier
