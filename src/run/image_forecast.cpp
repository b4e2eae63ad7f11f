#include "run/image_forecast.h"

#include <algorithm>
#include <chrono>
#include <map>

#include "diagnose/sweep_cost.h"
#include "engine/engine.h"
#include "engine/stack_inputs.h"
#include "ops/parallel.h"
#include "run/stage_forecast.h"
#include "vernier/confirm.h"
#include "vernier/planning.h"
#include "vernier/target.h"

namespace vernier {

namespace {

double seconds_per_answer(const Engine& engine, const Model& stack, const VisionInputs& data) {
  const ModelConfig& config = stack.config();
  const auto ready = engine.prepare_answers(stack, {.positions = longest_text(config, data)});
  const std::vector<float> grey(static_cast<size_t>(std::max<int64_t>(1, config.patches.pixels())));
  const ModelInput input = config.reads_images() ? ModelInput(std::span<const float>(grey))
                                                 : ModelInput(std::span<const int32_t>(data.texts.front()));
  const auto all = [&] {
    parallel_for(engine.workers(), engine.workers(), [&](int64_t, int worker) { ready->answer(worker, input); });
  };
  all();  // memory is there
  const auto start = std::chrono::steady_clock::now();
  constexpr int kRepeats = 3;
  for (int i = 0; i < kRepeats; ++i) all();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / kRepeats / engine.workers();
}

/// Forwards of its stack that measuring a component takes: its layer and those after it.
double forwards_of(const Component& c, const ModelConfig& stack) {
  if (c.layer < 0) return restart_of(c) == Restart::kEmbedding ? 1 : 0;
  return static_cast<double>(stack.depth() - c.layer) / stack.depth();
}

class ImageForecast {
 public:
  ImageForecast(const Model& model, const RunOptions& options, const RunInputs& inputs)
      : model_(model), options_(options), inputs_(inputs), threads_(resolve_threads(options.compute)) {
    const std::unique_ptr<Engine> engine = make_engine(options.compute);
    const VisionInputs& data = inputs.images->diagnosis.inputs;
    if (model.config().stacks.empty()) seconds_[Stack::kOnly] = seconds_per_answer(*engine, model, data);
    for (const ModelConfig& stack : model.config().stacks)
      seconds_[stack.stack] = seconds_per_answer(*engine, stack_of(model, stack.stack), data);
    encoding_ = encoding_seconds(model, schemes(), threads_);
  }

  double pass(const AnswerData& data) const {
    double seconds = 0;
    for (const auto& [stack, each] : seconds_) seconds += each * inputs_in(stack, data);
    return seconds;
  }

  double diagnose() const {
    constexpr double kControls = 2;  // heads of every layer, measured unchanged
    const AnswerData& data = inputs_.images->diagnosis;
    double seconds = encoding_ + 2 * pass(data);  // the base, and everything at once
    for (const Component& c : components_of(model_.config(), all_component_kinds()))
      seconds += forwards_of(c, *model_.config().find_stack(c.stack)) * seconds_.at(c.stack) * inputs_in(c.stack, data);
    for (const auto& [stack, each] : seconds_)
      seconds += kControls * each * inputs_in(stack, data) * model_.config().find_stack(stack)->depth() / 2;
    return seconds;
  }

  double screen() const {
    constexpr double kPasses = 6;  // forward, forward again and backward of ATen, as of language models
    const AnswerData& data = inputs_.images->diagnosis;
    double seconds = encoding_;
    for (const auto& [stack, each] : seconds_) {
      // Every image has a pass over all prompts.
      const double rounds = stack == Stack::kText ? static_cast<double>(data.inputs.images) : 1;
      seconds += kPasses * rounds * each * inputs_in(stack, data);
    }
    return seconds;
  }

  double confirm() const {
    constexpr double kOnTheCut = 8, kShare = 0.5, kBasePasses = 4;  // as of language models
    const AnswerData& data = inputs_.images->diagnosis;
    double outside = 0, inside = 0, matrices = 0;
    for (const TensorId& id : model_.matrices()) {
      const Component c = component_of(id);
      const double seconds =
          forwards_of(c, *model_.config().find_stack(c.stack)) * seconds_.at(c.stack) * inputs_in(c.stack, data);
      (id.layer < 0 ? outside : inside) += seconds;
      matrices += id.layer < 0 ? 0 : 1;
    }
    const double measured = static_cast<double>(ConfirmOptions().sample) + kOnTheCut;
    return outside + kShare * std::min(1.0, measured / std::max(1.0, matrices)) * inside + kBasePasses * pass(data) +
           encoding_ / static_cast<double>(schemes().size());
  }

  double exporting() const {
    return files() * encoding_ / static_cast<double>(schemes().size()) + search_seconds(model_, options_, threads_);
  }
  double evaluate() const { return (files() + 3) * pass(inputs_.images->evaluation); }

 private:
  const std::vector<std::string>& schemes() const { return find_target(options_.target).rules.schemes; }

  static double inputs_in(Stack stack, const AnswerData& data) {
    return static_cast<double>(stack == Stack::kText ? static_cast<int64_t>(data.inputs.texts.size())
                                                     : data.inputs.images);
  }

  /// The plan, and uniform ones that fit.
  double files() const {
    const Target& target = find_target(options_.target);
    double fit = 1;
    for (const std::string& scheme : schemes())
      fit += target.counted_bytes(model_, plan_uniform(model_, scheme, options_.target), inputs_.tokenizer,
                                  options_.file) <= inputs_.budget_bytes
                 ? 1
                 : 0;
    return fit;
  }

  const Model& model_;
  const RunOptions& options_;
  const RunInputs& inputs_;
  int threads_;
  std::map<Stack, double> seconds_;  // of an input, all threads being busy
  double encoding_ = 0;              // of all matrices in all schemes
};

}  // namespace

std::vector<RunForecast::Stage> forecast_image_stages(const Model& model, const RunOptions& options,
                                                      const RunInputs& inputs) {
  const ImageForecast of(model, options, inputs);
  std::vector<RunForecast::Stage> stages{{"calibrate", of.pass(inputs.images->calibration)}};
  if (options.effort == Effort::kExact) stages.push_back({"diagnose", of.diagnose()});
  if (options.effort != Effort::kExact) stages.push_back({"screen", of.screen()});
  if (options.effort == Effort::kConfirm) stages.push_back({"confirm", of.confirm()});
  stages.push_back({"export", of.exporting()});
  stages.push_back({"evaluate", of.evaluate()});
  return stages;
}

double image_diagnosis_seconds(const Model& model, const RunOptions& options, const RunInputs& inputs) {
  return ImageForecast(model, options, inputs).diagnose();
}

double image_run_bytes(const Model& model, const RunOptions&, const RunInputs& inputs) {
  double streams = 0;
  const auto add = [&](const ModelConfig& stack) {
    const AnswerData& data = inputs.images->diagnosis;
    const int64_t rows = stack.reads_images() ? stack.patches.rows() : longest_text(stack, data.inputs);
    streams += 4.0 * static_cast<double>(rows * stack.hidden * inputs_of_stack(stack, data.inputs));
  };
  if (model.config().stacks.empty()) add(model.config());
  for (const ModelConfig& stack : model.config().stacks) add(stack);
  // Packed, changed and as the file holds it.
  return 12.0 * static_cast<double>(model.parameters()) + streams;
}

}  // namespace vernier
