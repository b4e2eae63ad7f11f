#include <algorithm>

#include "run/run_stages.h"
#include "vernier/plan_front.h"
#include "vernier/planning.h"
#include "vernier/value_search.h"

namespace vernier {

Plan load_plan(const RunDirectory& directory, const std::string& name) {
  return plan_from_json(read_json(directory.path(name)), name);
}

/// Multiplications and additions of a forward pass of one file over the evaluation text decide, not the clock: a run is
/// made again alike.
bool measures_all_files(const Model& model, const RunOptions& options, const RunInputs& inputs) {
  constexpr double kCheap = 3e12;  // about 10 s on two cores
  double tokens = 0;
  const auto add = [&](const EvaluationData& data) {
    for (const TokenWindow& window : data.windows) tokens += static_cast<double>(window.tokens.size());
  };
  add(inputs.text);
  if (inputs.groups) add(*inputs.groups);
  return options.effort == Effort::kExact || 2 * tokens * static_cast<double>(model.parameters()) <= kCheap;
}

std::string method_of(const Model& model, const RunOptions& options) {
  if (!options.method.empty()) return options.method;
  return model.parameters() <= kSearchedWeights ? "auto" : Plan().method;
}

std::string method_beside(const std::string& method) {
  return find_value_search(method).needs == ValueSearch::Needs::kGram ? Plan().method : method;
}

namespace {

/// Uniform plans that forecasts do not rule out: what is foretold at more than twice the plan's damage is not found below it.
/// The one that is searched as the plan is stays, and where no preset is measured the best of them.
std::vector<Plan> contenders(const RunContext& run, std::vector<Plan> uniform,
                             const std::optional<RunCandidate>& searched, double planned_kl, bool with_preset) {
  if (measures_all_files(run.model, run.options, run.inputs) || uniform.empty()) return uniform;
  constexpr double kHopeless = 2;
  const double best = std::ranges::min_element(uniform, {}, &Plan::predicted_kl_nats)->predicted_kl_nats;
  std::erase_if(uniform, [&](const Plan& plan) {
    if (searched && searched->label == plan.label) return false;
    return plan.predicted_kl_nats > kHopeless * planned_kl && (with_preset || plan.predicted_kl_nats > best);
  });
  return uniform;
}

}  // namespace

RunCandidate candidate_of(const RunContext& run, const Plan& plan, const std::string& kind) {
  std::string name = "work/" + plan.label;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == ' ' || c == ':' || c == '\''; }, '-');
  return {plan.label, kind, name + ".json", written_as(run.target, name)};
}

std::string planning_key(const RunContext& run, const std::string& damage, const std::vector<std::string>& methods) {
  std::string key = stage_key({run.directory.hash(damage), run.options.budget, run.options.target,
                               run.inputs.exported_as, std::to_string(Plan().schema_version)});
  for (const std::string& method : methods) key = stage_key({key, method});
  return key;
}

std::vector<RunCandidate> plan_stage(const RunContext& run, const RunDamage& damage) {
  const RunOptions& options = run.options;
  const RunInputs& inputs = run.inputs;
  const std::string method = method_of(run.model, options), beside = method_beside(method);
  PlanningOptions planning{options.target, options.file, options.objective, options.codebooks}, others = planning;
  planning.method = method;
  others.method = beside;
  const std::string key = planning_key(run, "damage.json", {method, beside});
  const auto write = [&](const std::string& stage, const std::string& name, const std::string& own, const auto& make) {
    run.stage("plan", stage, own, name,
              [&](const std::filesystem::path& path) { write_json(path, plan_to_json(make())); });
  };
  const bool by_mean = options.objective.kind == PlanObjective::Kind::kMean;
  write("plan", "work/planned.json", by_mean ? key : stage_key({key, options.objective.text()}),
        [&] { return plan_within(run.model, inputs.tokenizer, damage.searched, options.budget, planning); });
  const std::string front_key =
      makes_limit(run.model, options, inputs) ? stage_key({key, run.directory.hash("screen.json")}) : key;
  run.stage("plan", "front", front_key, "front.json", [&](const std::filesystem::path& path) {
    const std::optional<Limit> limit = load_limit(run);
    write_json(path, front_to_json(plan_front(run.model, inputs.tokenizer, damage.searched, planning),
                                   limit ? &*limit : nullptr));
  });
  std::vector<RunCandidate> candidates;
  const Plan planned = load_plan(run.directory, "work/planned.json");
  const auto add = [&](const Plan& plan, const std::string& kind) {
    if (damage.uniform && damage.uniform->label == plan.label) return candidates.push_back(*damage.uniform);
    candidates.push_back(candidate_of(run, plan, kind));
    write("plan " + plan.label, candidates.back().plan, key, [&] { return plan; });
  };
  const std::optional<Plan> preset = preset_within(run.model, inputs.tokenizer, inputs.budget_bytes, others);
  const std::vector<Plan> uniform =
      uniform_plans_within(run.model, inputs.tokenizer, damage.rounded, inputs.budget_bytes, others);
  for (const Plan& plan : contenders(run, uniform, damage.uniform, planned.predicted_kl_nats, preset.has_value()))
    add(plan, "uniform");
  if (preset) add(*preset, "preset");
  candidates.push_back({planned.label, "plan", "work/planned.json", written_as(run.target, "work/planned"),
                        /*foretold=*/method == beside || !damage.searched.left.empty()});
  return candidates;
}

}  // namespace vernier
