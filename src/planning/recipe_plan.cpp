#include "vernier/planning.h"

#include <optional>

#include "base/fail.h"
#include "plan/make_plan.h"
#include "planning/tensor_damages.h"
#include "vernier/blueprint.h"
#include "vernier/scheme.h"

namespace vernier {

namespace {
/// By its line, and whether or not a tensor is left for it.
void require_schemes(const Recipe& recipe) {
  for (const RecipeRule& rule : recipe.rules()) try {
      Scheme::parse(rule.scheme);
    } catch (const Error& e) {
      fail(e.kind(), "{}:{}: {}", recipe.origin(), rule.line, e.what());
    }
}
}  // namespace

Plan plan_from_recipe(const Model& model, const Recipe& recipe, const std::string& label, const std::string& target) {
  const TargetRules& rules = find_target(target).rules;
  require_schemes(recipe);
  Plan plan;
  plan.target = target;
  plan.label = label;
  std::vector<std::vector<std::string>> names;
  for (const TensorId& id : model.matrices()) {
    names.push_back({name_of(id)});
    for (const Target& other : targets()) names.back().push_back((model.blueprint().at(id).*other.file).name);
  }
  const std::vector<std::optional<size_t>> deciding = recipe.find_all(names);
  std::vector<bool> heeded(recipe.rules().size());  // by a matrix in the line's scheme, or in what its rows fit instead
  std::vector<std::string> why_not(recipe.rules().size());
  const std::vector<TensorDamage> tensors = shapes_of(model, find_target(target));
  for (size_t i = 0; i < tensors.size(); ++i) {
    const TensorDamage& tensor = tensors[i];
    if (!deciding[i])
      fail(ErrorKind::kInvalidArgument, "{}: no line matches {}; end it with `.* = gguf:q4_k`", recipe.origin(),
           tensor.tensor);
    const RecipeRule& rule = recipe.rules()[*deciding[i]];
    PlanEntry entry = uniform_plan({tensor}, rules, rule.scheme).entries[0];
    const bool as_asked = entry.scheme == Scheme::parse(rule.scheme).name();
    if (as_asked || !entry.wanted.empty())
      heeded[*deciding[i]] = true;
    else if (std::string& why = why_not[*deciding[i]]; why.empty())
      why = fmt::format("asks for {} of {}, but {}", rule.scheme, tensor.tensor, entry.reason);
    if (as_asked)
      entry.reason = rule.reason;
    else if (!rule.reason.empty())
      entry.reason += "; " + rule.reason;
    plan.tensor_bytes += entry.bytes;
    plan.entries.push_back(std::move(entry));
  }
  for (size_t i = 0; i < heeded.size(); ++i)
    if (!heeded[i])
      fail(ErrorKind::kInvalidArgument, "{}:{}: {} {}", recipe.origin(), recipe.rules()[i].line,
           recipe.rules()[i].pattern,
           why_not[i].empty() ? "matches no tensor that an earlier line leaves over" : why_not[i]);
  return plan;
}

}  // namespace vernier
