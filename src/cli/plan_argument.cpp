#include "cli/plan_argument.h"

#include "base/fail.h"
#include "base/output_file.h"
#include "cli/command.h"
#include "vernier/planning.h"

namespace vernier {

void PlanArgument::add(CLI::App& app, CommandFiles& files) {
  app.add_option("--plan", plan, "Artefact of `vernier plan`");
  files.reads(plan);
  add_input(app, files, "--recipe", recipe, "Text of lines `regex = scheme  # reason`; the first that matches decides");
  app.add_option("--scheme", scheme, "One scheme for every matrix");
}

Plan PlanArgument::load(const Model& model) const {
  if (plan.empty() + recipe.empty() + scheme.empty() != 2)
    fail(ErrorKind::kInvalidArgument, "give exactly one of --plan, --recipe and --scheme");
  if (!plan.empty()) return plan_from_json(read_artefact(plan, "plan"), plan);
  if (!recipe.empty())
    return plan_from_recipe(model, parse_recipe(read_file(recipe), recipe),
                            std::filesystem::path(recipe).filename().string());
  return plan_uniform(model, scheme);
}

}  // namespace vernier
