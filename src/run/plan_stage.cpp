#include <algorithm>

#include "run/run_stages.h"
#include "vernier/plan_front.h"
#include "vernier/planning.h"

namespace vernier {

Plan load_plan(const RunDirectory& directory, const std::string& name) {
  return plan_from_json(read_json(directory.path(name)), name);
}

std::vector<RunCandidate> plan_stage(const RunContext& run, const DamageTable& damage) {
  const RunOptions& options = run.options;
  const RunInputs& inputs = run.inputs;
  const PlanningOptions planning{options.target, options.file};
  const std::string key = stage_key({run.directory.hash("damage.json"), options.budget, options.target,
                                     inputs.exported_as, std::to_string(Plan().schema_version)});
  const auto write = [&](const std::string& stage, const std::string& name, const auto& make) {
    run.directory.stage(stage, key, name,
                        [&](const std::filesystem::path& path) { write_json(path, plan_to_json(make())); });
  };
  write("plan", "work/planned.json",
        [&] { return plan_within(run.model, inputs.tokenizer, damage, options.budget, planning); });
  run.directory.stage("front", key, "front.json", [&](const std::filesystem::path& path) {
    write_json(path, front_to_json(plan_front(run.model, inputs.tokenizer, damage, planning)));
  });
  std::vector<RunCandidate> candidates;
  for (const Plan& plan : uniform_plans_within(run.model, inputs.tokenizer, damage, inputs.budget_bytes, planning)) {
    std::string name = "work/" + plan.label;
    std::replace_if(
        name.begin(), name.end(), [](char c) { return c == ' ' || c == ':'; }, '-');
    write("plan " + plan.label, name + ".json", [&] { return plan; });
    candidates.push_back({plan.label, "uniform", name + ".json", written_as(run.target, name)});
  }
  candidates.push_back({load_plan(run.directory, "work/planned.json").label, "plan", "work/planned.json",
                        written_as(run.target, "work/planned")});
  return candidates;
}

}  // namespace vernier
