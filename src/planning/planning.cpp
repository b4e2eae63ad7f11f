#include "vernier/planning.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <functional>

#include "base/fail.h"
#include "plan/make_plan.h"
#include "plan/target.h"
#include "vernier/scheme.h"

namespace vernier {

namespace {

/// Shapes alone: enough for uniform plans and recipes, which predict nothing.
std::vector<TensorDamage> shapes_of(const Model& model) {
  std::vector<TensorDamage> tensors;
  for (const TensorId& id : model.matrices()) {
    const std::vector<int64_t> shape = model.shape(id);
    tensors.push_back({gguf_name(id),
                       std::string(role_name(id.role)),
                       id.layer,
                       shape[0],
                       shape[1],
                       "",
                       0,
                       {},
                       model.scheme_in_file(id).name()});
  }
  return tensors;
}

/// Of every matrix of the model: a diagnosis of some kinds of components has facts about some matrices only.
std::vector<TensorDamage> tensor_damages(const Model& model, const Diagnosis& diagnosis) {
  std::vector<TensorDamage> tensors = shapes_of(model);
  const std::vector<TensorId> matrices = model.matrices();
  for (size_t i = 0; i < tensors.size(); ++i) {
    const TensorId& id = matrices[i];
    const ComponentDamage* damage = diagnosis.find(component_of(id));
    const auto facts = std::find_if(diagnosis.weight_facts.begin(), diagnosis.weight_facts.end(),
                                    [&](const WeightFacts& f) { return f.tensor == id; });
    if (damage == nullptr || facts == diagnosis.weight_facts.end())
      fail(ErrorKind::kInvalidArgument,
           "plan: the diagnosis has no isolated damage of {}; diagnose with --kinds tensor,embed,lm_head", name_of(id));
    tensors[i].measured_scheme = facts->scheme;
    tensors[i].measured_kl = damage->kl.mean;
    tensors[i].error_power = facts->error_power;
  }
  return tensors;
}

void check_diagnosis(const Diagnosis& diagnosis, const Model& model) {
  if (const std::string hash = model_hash(model); diagnosis.model_hash != hash)
    fail(ErrorKind::kInvalidArgument, "plan: the diagnosis is of another model (hash {}, expected {}); diagnose {}",
         diagnosis.model_hash, hash, model.source().name);
}

/// What "+0%" allows: the file of a uniform plan whose header names its own size as the budget.
uint64_t uniform_bytes(const Model& model, const TokenizerModel& tokenizer, const std::string& scheme,
                       const PlanningOptions& options) {
  Plan plan = uniform_plan(shapes_of(model), options.target, scheme);
  plan.budget_bytes = gguf_file_bytes(model, plan, tokenizer, options.file);
  return gguf_file_bytes(model, plan, tokenizer, options.file);
}

/// Rows that q4_k's blocks of 256 do not divide fall back to 5 bits; q4_0's blocks of 32 may still fit.
uint64_t uniform_int4_bytes(const Model& model, const TokenizerModel& tokenizer, const PlanningOptions& options) {
  return std::min(uniform_bytes(model, tokenizer, "gguf:q4_k", options),
                  uniform_bytes(model, tokenizer, "gguf:q4_0", options));
}

/// The budget where the uniform 4-bit file, which "+10%" is a share of, is known.
uint64_t budget_over(uint64_t int4, const Model& model, const TokenizerModel& tokenizer, const std::string& budget,
                     const PlanningOptions& options) {
  return Budget::parse(budget).bytes(int4, static_cast<uint64_t>(model.parameters()),
                                     uniform_bytes(model, tokenizer, "f16", options));
}

bool same_schemes(const Plan& a, const Plan& b) {
  return std::equal(
      a.entries.begin(), a.entries.end(), b.entries.begin(), b.entries.end(),
      [](const PlanEntry& x, const PlanEntry& y) { return x.tensor == y.tensor && x.scheme == y.scheme; });
}

}  // namespace

DiagnoseOptions planning_diagnosis(const std::string& target, const std::string& scheme) {
  DiagnoseOptions options;
  options.scheme = scheme;
  options.candidates = target_rules(target).schemes;
  return options;
}

Plan plan_within(const Model& model, const TokenizerModel& tokenizer, const Diagnosis& diagnosis,
                 const std::string& budget, const PlanningOptions& options) {
  check_diagnosis(diagnosis, model);
  const uint64_t int4 = uniform_int4_bytes(model, tokenizer, options);
  PlanRequest request;
  request.target = options.target;
  request.budget_text = budget;
  request.budget_bytes = budget_over(int4, model, tokenizer, budget, options);
  request.file_bytes = [&](const Plan& plan) { return gguf_file_bytes(model, plan, tokenizer, options.file); };
  Plan plan = make_plan(tensor_damages(model, diagnosis), request);
  plan.provenance = {{"model_hash", diagnosis.model_hash},
                     {"diagnosis_data_hash", diagnosis.data_hash},
                     {"calibration_hash", diagnosis.calibration_hash},
                     {"uniform_int4_bytes", int4}};
  return plan;
}

uint64_t reachable_budget(const Model& model, const TokenizerModel& tokenizer, const std::string& budget,
                          const PlanningOptions& options) {
  PlanRequest request;
  request.target = options.target;
  request.budget_text = budget;
  request.budget_bytes = budget_bytes(model, tokenizer, budget, options);
  request.file_bytes = [&](const Plan& plan) { return gguf_file_bytes(model, plan, tokenizer, options.file); };
  require_reachable(shapes_of(model), request);
  return request.budget_bytes;
}

uint64_t budget_bytes(const Model& model, const TokenizerModel& tokenizer, const std::string& budget,
                      const PlanningOptions& options) {
  return budget_over(uniform_int4_bytes(model, tokenizer, options), model, tokenizer, budget, options);
}

std::vector<Plan> uniform_plans_within(const Model& model, const TokenizerModel& tokenizer, const Diagnosis& diagnosis,
                                       uint64_t budget_bytes, const PlanningOptions& options) {
  check_diagnosis(diagnosis, model);
  const std::vector<TensorDamage> tensors = tensor_damages(model, diagnosis);
  std::vector<std::pair<uint64_t, Plan>> plans;
  for (const std::string& scheme : target_rules(options.target).schemes) {
    Plan plan = uniform_plan(tensors, options.target, scheme);
    plan.budget_bytes = budget_bytes;
    const uint64_t bytes = gguf_file_bytes(model, plan, tokenizer, options.file);
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

Plan plan_from_recipe(const Model& model, const Recipe& recipe, const std::string& label) {
  Plan plan;
  plan.target = "llama.cpp";
  plan.label = label;
  std::vector<bool> used(recipe.rules().size());
  for (const TensorDamage& tensor : shapes_of(model)) {
    const auto rule = recipe.find(tensor.tensor);
    if (!rule)
      fail(ErrorKind::kInvalidArgument, "recipe: no line matches {}; end it with `.* = gguf:q4_k`", tensor.tensor);
    used[*rule] = true;
    Plan one = uniform_plan({tensor}, plan.target, recipe.rules()[*rule].scheme);
    const std::string& reason = recipe.rules()[*rule].reason;
    if (one.entries[0].wanted.empty())
      one.entries[0].reason = reason;
    else if (!reason.empty())
      one.entries[0].reason += "; " + reason;
    plan.tensor_bytes += one.entries[0].bytes;
    plan.entries.push_back(one.entries[0]);
  }
  for (size_t i = 0; i < used.size(); ++i)
    if (!used[i])
      fail(ErrorKind::kInvalidArgument, "recipe: line {}: {} matches no tensor that an earlier line leaves over",
           recipe.rules()[i].line, recipe.rules()[i].pattern);
  return plan;
}

Plan plan_uniform(const Model& model, const std::string& scheme) {
  return uniform_plan(shapes_of(model), "llama.cpp", scheme);
}

double bits_per_weight(uint64_t file_bytes, const Model& model) {
  return 8.0 * static_cast<double>(file_bytes) / static_cast<double>(model.parameters());
}

Plan plan_as_stored(const Model& model, const std::string& label) {
  Plan plan;
  plan.target = "llama.cpp";
  plan.label = label;
  for (const TensorDamage& tensor : shapes_of(model)) {
    plan.entries.push_back(uniform_plan({tensor}, plan.target, tensor.stored_scheme).entries[0]);
    plan.entries.back().reason = "as it is stored";
    plan.tensor_bytes += plan.entries.back().bytes;
  }
  return plan;
}

}  // namespace vernier
