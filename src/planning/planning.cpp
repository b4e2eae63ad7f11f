#include "vernier/planning.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "base/fail.h"
#include "model/language_model.h"
#include "plan/llama_cpp_mix.h"
#include "plan/make_plan.h"
#include "planning/plan_size.h"
#include "planning/tensor_damages.h"
#include "vernier/plan_front.h"
#include "vernier/scheme.h"
#include "vernier/worst_choice.h"

namespace vernier {

namespace {

std::vector<PlanGroup> groups_of(const DamageTable& table) {
  std::vector<PlanGroup> groups;
  for (const GroupDamageTable& group : table.groups) groups.push_back({group.name, static_cast<double>(group.tokens)});
  return groups;
}

/// What "+0%" allows: the file of a uniform plan whose header names its own size as the budget.
uint64_t uniform_bytes(const std::vector<TensorDamage>& shapes, const TargetRules& rules, const std::string& scheme,
                       const SizeOf& size) {
  Plan plan = uniform_plan(shapes, rules, scheme);
  plan.budget_bytes = size(plan);
  return size(plan);
}

/// Where the blocks of one scheme do not divide the rows and it falls back to more bits, another may still fit.
uint64_t uniform_int4_bytes(const std::vector<TensorDamage>& shapes, const Target& target, const SizeOf& size) {
  uint64_t smallest = UINT64_MAX;
  for (const std::string& scheme : target.four_bit_schemes)
    smallest = std::min(smallest, uniform_bytes(shapes, target.rules, scheme, size));
  return smallest;
}

/// The budget where the uniform 4-bit file, which "+10%" is a share of, is known.
uint64_t budget_over(uint64_t int4, const Model& model, const std::string& budget, const Target& target,
                     const SizeOf& size) {
  return Budget::parse(budget).bytes(int4, static_cast<uint64_t>(model.parameters()),
                                     uniform_bytes(shapes_of(model, target), target.rules, "f16", size));
}

bool same_schemes(const Plan& a, const Plan& b) {
  return std::equal(
      a.entries.begin(), a.entries.end(), b.entries.begin(), b.entries.end(),
      [](const PlanEntry& x, const PlanEntry& y) { return x.tensor == y.tensor && x.scheme == y.scheme; });
}

/// As PlanningOptions::last_over_first says.
void count_by_depth(std::vector<TensorDamage>& tensors, const PlanningOptions& options) {
  if (options.last_over_first == 1) return;
  if (!(options.last_over_first > 0 && std::isfinite(options.last_over_first)))
    fail(ErrorKind::kInvalidArgument,
         "plan: the last layer's damage counts {} times the first's, expected a number > 0", options.last_over_first);
  if (options.objective.kind != PlanObjective::Kind::kMean)
    fail(ErrorKind::kInvalidArgument, "plan: damages that count by depth are planned by their mean, not by {}",
         options.objective.text());
  int64_t last = 0;
  for (const TensorDamage& tensor : tensors) last = std::max(last, tensor.layer);
  for (TensorDamage& tensor : tensors)
    if (tensor.layer >= 0 && last > 0)
      tensor.counts =
          std::pow(options.last_over_first, static_cast<double>(tensor.layer) / static_cast<double>(last) - 0.5);
}

}  // namespace

TargetRules planning_rules(const std::string& target, bool codebooks) {
  const TargetRules& rules = find_target(target).rules;
  return codebooks ? rules.with_codebooks() : rules;
}

DiagnoseOptions planning_diagnosis(const std::string& target, const std::string& scheme, bool codebooks) {
  DiagnoseOptions options;
  options.scheme = scheme;
  options.candidates = planning_rules(target, codebooks).schemes;
  return options;
}

Plan plan_within(const Model& model, const TokenizerModel& tokenizer, const DamageTable& table,
                 const std::string& budget, const PlanningOptions& options) {
  const Target& target = find_target(options.target);
  const SizeOf size = size_for(target, model, tokenizer, options);
  const uint64_t int4 = uniform_int4_bytes(shapes_of(model, target), target, size);
  PlanRequest request{.rules = planning_rules(options.target, options.codebooks),
                      .budget_text = budget,
                      .budget_bytes = budget_over(int4, model, budget, target, size),
                      .file_bytes = size,
                      .objective = options.objective,
                      .groups = groups_of(table)};
  request.method = method_for(table, options);
  std::vector<TensorDamage> tensors = tensor_damages(model, table, target);
  count_by_depth(tensors, options);
  Plan plan = make_plan(tensors, request);
  plan.provenance = table.provenance;
  plan.provenance["uniform_int4_bytes"] = int4;
  if (options.last_over_first != 1) plan.provenance["last_over_first"] = options.last_over_first;
  return plan;
}

uint64_t reachable_budget(const Model& model, const TokenizerModel& tokenizer, const std::string& budget,
                          const PlanningOptions& options) {
  const Target& target = find_target(options.target);
  PlanRequest request{.rules = planning_rules(options.target, options.codebooks),
                      .budget_text = budget,
                      .budget_bytes = budget_bytes(model, tokenizer, budget, options),
                      .file_bytes = size_for(target, model, tokenizer, options)};
  request.method = options.method;
  require_reachable(shapes_of(model, target), request);
  return request.budget_bytes;
}

uint64_t budget_bytes(const Model& model, const TokenizerModel& tokenizer, const std::string& budget,
                      const PlanningOptions& options) {
  const Target& target = find_target(options.target);
  const SizeOf size = size_for(target, model, tokenizer, options);
  return budget_over(uniform_int4_bytes(shapes_of(model, target), target, size), model, budget, target, size);
}

std::vector<Plan> uniform_plans_within(const Model& model, const TokenizerModel& tokenizer, const DamageTable& table,
                                       uint64_t budget_bytes, const PlanningOptions& options) {
  const Target& target = find_target(options.target);
  const std::vector<TensorDamage> tensors = tensor_damages(model, table, target);
  const SizeOf size = size_for(target, model, tokenizer, options);
  std::vector<std::pair<uint64_t, Plan>> plans;
  const TargetRules rules = planning_rules(options.target, options.codebooks);
  for (const std::string& scheme : rules.schemes) {
    Plan plan = uniform_plan(tensors, rules, scheme);
    if (!options.method.empty()) plan.method = options.method;
    plan.budget_bytes = budget_bytes;
    const uint64_t bytes = size(plan);
    if (bytes > budget_bytes) continue;
    // Where fallbacks make two the same, the one that is what its name says stays.
    const auto same =
        std::find_if(plans.begin(), plans.end(), [&](const auto& p) { return same_schemes(p.second, plan); });
    if (same == plans.end())
      plans.emplace_back(bytes, std::move(plan));
    else if (plan.label.size() < same->second.label.size())
      *same = {bytes, std::move(plan)};
  }
  std::stable_sort(plans.begin(), plans.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Plan> result;
  for (auto& [bytes, plan] : plans) result.push_back(std::move(plan));
  return result;
}

std::optional<Plan> preset_within(const Model& model, const TokenizerModel& tokenizer, uint64_t budget_bytes,
                                  const PlanningOptions& options) {
  if (options.target != "llama.cpp") return std::nullopt;
  const SizeOf size = size_for(find_target(options.target), model, tokenizer, options);
  std::optional<Plan> largest;
  uint64_t most = 0;
  for (const std::string& name : preset_names()) {
    Plan plan = plan_preset(model, name, options.target);
    if (!options.method.empty()) plan.method = options.method;
    plan.budget_bytes = budget_bytes;
    const uint64_t bytes = size(plan);
    if (bytes > budget_bytes || bytes <= most) continue;
    most = bytes;
    largest = std::move(plan);
  }
  return largest;
}

}  // namespace vernier
