#include "run/run_inputs.h"

#include <algorithm>
#include <set>

#include "base/fail.h"
#include "data/named_texts.h"
#include "data/text_domains.h"
#include "run/run_stages.h"
#include "run/source.h"
#include "vernier/planning.h"
#include "vernier/quantize.h"
#include "vernier/value_search.h"

namespace vernier {

namespace {

/// The figures flatter a plan where its calibration has seen the text.
void find_shared_text(const RunOptions& options, RunInputs& inputs, ProgressSink& progress) {
  EvaluationData seen = inputs.calibration;  // what the plan is made from
  seen.windows.insert(seen.windows.end(), inputs.diagnosis.windows.begin(), inputs.diagnosis.windows.end());
  for (const ScreenText& text : inputs.screened)
    seen.windows.insert(seen.windows.end(), text.data.windows.begin(), text.data.windows.end());
  inputs.shared_runs =
      shared_token_runs(inputs.text, seen) + (inputs.groups ? shared_token_runs(*inputs.groups, seen) : 0);
  if (inputs.shared_runs == 0) return;
  const std::string message = fmt::format(
      "{} runs of 50 tokens (or whole documents) are in both the calibration and the evaluation text; the result "
      "flatters itself",
      inputs.shared_runs);
  if (options.strict) fail(ErrorKind::kInvalidArgument, "run: {} (--strict)", message);
  progress.warn(message);
}

void check_context(const Model& model, const RunOptions& options, const EvaluationData& text, ProgressSink& progress) {
  warn_beyond_context(text, model.config().context_length, model.source().name, &progress);
  if (const int64_t same = find_target(options.target).context_length(model.config());
      text.longest() > same && same < model.config().context_length)
    fail(ErrorKind::kInvalidArgument,
         "run: windows of {} tokens: {} ignores this model's sliding window, so that beyond {} tokens its answers "
         "differ without any quantization; give --context {}",
         text.longest(), options.target, same, same);
}

void require_vision_options(const Model& model, const RunOptions& options) {
  const std::string seen = fmt::format("run: {} ({}) sees images", model.source().name, model.config().family);
  if (find_target(options.target).needs_tokenizer)
    fail(ErrorKind::kUnsupported, "{}, which {} does not load; plan for --target huggingface", seen, options.target);
  if (options.effort != Effort::kExact && options.objective.kind != PlanObjective::Kind::kMean)
    fail(ErrorKind::kUnsupported,
         "{}: a screen does not tell its classes apart; for plans by group give --effort exact", seen);
  if (options.second_round)
    fail(ErrorKind::kUnsupported, "{}: a second round measures texts; leave out --second-round", seen);
  if (options.images.empty())
    fail(
        ErrorKind::kInvalidArgument,
        "{}: name some to evaluate on: --data with a manifest (CSV: path,label and a column per attribute) or a folder "
        "with a subfolder per class",
        seen);
  if (!options.evaluation_text.empty() || !options.calibration_text.empty() || !options.groups.empty())
    fail(ErrorKind::kInvalidArgument,
         "{}: expected no text; --data and --calibration-images name images, and groups are columns of their manifest",
         seen);
}

}  // namespace

RunInputs begin_inputs(const Model& model, const RunOptions& options, ProgressSink& progress) {
  for (const std::string& warning : model.source().warnings) progress.warn(warning);
  check_value_search(find_value_search(method_of(model, options)), model);  // before anything is computed
  RunInputs inputs;
  if (model.config().is_language_model())
    inputs.tokenizer = load_tokenizer_of(model.source().path);
  else
    require_vision_options(model, options);
  for (const std::string& warning : inputs.tokenizer.warnings) progress.warn(warning);
  PlanningOptions planning{options.target, options.file, {}, options.codebooks};
  planning.method = method_of(model, options);
  inputs.budget_bytes = reachable_budget(model, inputs.tokenizer, options.budget, planning);
  const Target& target = find_target(options.target);
  warn_of_source(model, target, inputs.budget_bytes, progress);
  for (const std::string& loss : target.losses(model, inputs.tokenizer)) progress.warn(loss);
  return inputs;
}

void read_data(const Model& model, const RunOptions& options, RunInputs& inputs, ProgressSink& progress) {
  (model.config().is_language_model() ? read_texts : read_images)(model, options, inputs, progress);
  std::set<std::string> groups;  // of what is measured on: known before hours are spent on it
  for (const Cluster& cluster : inputs.diagnosis.clusters) groups.insert(cluster.group);
  if (inputs.images) groups.insert(inputs.images->diagnosis.groups.begin(), inputs.images->diagnosis.groups.end());
  groups.erase("");
  options.objective.require_groups({groups.begin(), groups.end()});
}

void read_texts(const Model& model, const RunOptions& options, RunInputs& inputs, ProgressSink& progress) {
  if (!options.images.empty() || !options.calibration_images.empty())
    fail(ErrorKind::kInvalidArgument, "run: {} ({}) is a language model; expected texts to measure it on, not images",
         model.source().name, model.config().family);
  // What cannot be exported should say so now, not after the measurements.
  inputs.exported_as =
      find_target(options.target)
          .header_hash(model, plan_uniform(model, "f16", options.target), inputs.tokenizer, options.file);
  const Tokenizer tokenizer(inputs.tokenizer);
  const TokenizedText calibration = calibration_text(tokenizer, options.calibration_text, &progress);
  inputs.calibration = calibration_windows(calibration, options.context, options.calibration_windows, &progress);
  const std::vector<TextDomain> domains = text_domains(tokenizer, options.calibration_text, &progress);
  std::vector<EvaluationData> measured;  // as many of each domain as are foretold on
  for (const TextDomain& domain : domains) {
    const auto some = [&](int64_t windows) {
      return diagnosis_windows(domain.text, options.context, windows_per_domain(windows, domains.size()), &progress);
    };
    inputs.screened.push_back({domain.name, some(options.screen_windows)});
    measured.push_back(as_group(some(options.diagnose_windows), domain.name));
  }
  inputs.diagnosis = joined_windows(measured);
  inputs.text = evaluation_windows(tokenizer, options.evaluation_text,
                                   {options.context, options.evaluation_windows, options.score_all}, &progress);
  inputs.groups = group_windows(tokenizer, options.groups, options.filter, options.context, &progress);
  if (!inputs.groups && options.evaluation_text.empty())
    inputs.groups = builtin_group_windows(tokenizer, options.context);
  find_shared_text(options, inputs, progress);
  check_context(model, options, inputs.text, progress);
}

}  // namespace vernier
