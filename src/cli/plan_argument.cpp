#include "cli/plan_argument.h"

#include <algorithm>

#include "base/fail.h"
#include "base/json.h"
#include "base/output_file.h"
#include "cli/command.h"
#include "vernier/planning.h"
#include "vernier/scheme.h"
#include "vernier/value_search.h"

namespace vernier {

std::string described_searches() {
  std::string methods;
  for (const ValueSearch& search : value_searches())
    methods += (methods.empty() ? "" : "; ") + search.name + ": " + search.about;
  return methods;
}

void PlanArgument::add(CLI::App& app, CommandFiles& files) {
  add_option(app, "--plan", plan, "Artefact of `vernier plan`");
  files.reads(plan);
  add_input(app, files, "--recipe", recipe, "Text of lines `regex = scheme  # reason`; the first that matches decides");
  add_option(app, "--scheme", scheme, "One scheme for every matrix");
  add_option(app, "--method", method,
             "How stored values are searched, by default as the plan says, of --recipe and --scheme importance. " +
                 described_searches());
}

namespace {

/// Numbers as they are (f32, f16, bf16) have neither scales nor codes to search.
Plan without_needless_search(Plan plan) {
  const auto is_plain = [](const PlanEntry& entry) {
    return Scheme::parse(entry.scheme).held_by(Container::kPlainTensors);
  };
  if (std::all_of(plan.entries.begin(), plan.entries.end(), is_plain)) plan.method = "nearest";
  return plan;
}

}  // namespace

Plan read_plan(const std::string& path, const Model& model, Console& console) {
  Plan plan = plan_from_json(read_artefact(path, "plan"), path);
  const Json* hash = json_find(plan.provenance, "model_hash");
  if (hash != nullptr && *hash != model_hash(model))
    console.progress.warn(
        fmt::format("{} was made for other weights than those of {}: what it foretells need not hold for them", path,
                    model.source().name));
  return without_needless_search(std::move(plan));
}

Plan PlanArgument::load(const Model& model, const std::string& target, Console& console) const {
  Plan loaded = without_needless_search(load_schemes(model, target, console));
  if (!method.empty()) loaded.method = method;
  find_value_search(loaded.method);  // says what exists before anything is computed
  return loaded;
}

Plan PlanArgument::load_schemes(const Model& model, const std::string& target, Console& console) const {
  if (plan.empty() + recipe.empty() + scheme.empty() != 2)
    fail(ErrorKind::kInvalidArgument, "give exactly one of --plan, --recipe and --scheme");
  if (!plan.empty()) return read_plan(plan, model, console);
  if (!recipe.empty())
    return plan_from_recipe(model, parse_recipe(read_file(recipe), recipe),
                            std::filesystem::path(recipe).filename().string(), target);
  return plan_uniform(model, scheme, target);
}

Calibration calibration_for(const Plan& plan, const CalibrationArgument& calibration) {
  if (find_value_search(plan.method).needs == ValueSearch::Needs::kNothing) return {};
  if (calibration.path.empty())
    fail(ErrorKind::kInvalidArgument,
         "--method {} searches values by what calibration says: give --calibration, the artefact of `vernier "
         "calibrate`, or take --method nearest, which needs none",
         plan.method);
  return calibration.load();
}

}  // namespace vernier
