#include "vernier/planning.h"

#include "base/fail.h"
#include "plan/make_plan.h"
#include "planning/tensor_damages.h"
#include "vernier/worst_choice.h"

namespace vernier {

namespace {

/// KL of a plan in nats by one group's damages, or by those of all (group -1).
double predicted_kl(const std::vector<TensorDamage>& tensors, const Plan& plan, int group) {
  double sum = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const std::string& scheme = plan.entries[i].scheme;
    const auto& kl = group < 0 ? tensors[i].kl : tensors[i].group_kl[static_cast<size_t>(group)];
    const auto known =
        kl.find(scheme);  // as it is stored, or all that the target has for it: no choice that was measured
    if (scheme != tensors[i].stored_scheme && known != kl.end()) sum += known->second;
  }
  return sum;
}

/// What each group may lose: by the plan, by the worst plan of all, and by the worst one for that group.
nlohmann::ordered_json worst_by_group(const std::vector<TensorDamage>& tensors, const DamageTable& table,
                                      const TargetRules& rules, const Plan& planned, const Plan& worst,
                                      uint64_t bytes) {
  nlohmann::ordered_json groups = nlohmann::ordered_json::array();
  for (size_t g = 0; g < table.groups.size(); ++g) {
    std::vector<TensorDamage> own = tensors;
    for (TensorDamage& tensor : own) tensor.kl = tensor.group_kl[g];
    const KnapsackProblem problem = planning_problem(own, rules);
    // As feasible as the worst of all, whose bytes are the same.
    const Plan least_lucky = plan_of_choice(own, rules, problem, worst_choice(problem, bytes).choice);
    groups.push_back({{"group", table.groups[g].name},
                      {"planned_kl_nats", predicted_kl(tensors, planned, static_cast<int>(g))},
                      {"worst_plan_kl_nats", predicted_kl(tensors, worst, static_cast<int>(g))},
                      {"worst_for_it_kl_nats", predicted_kl(own, least_lucky, -1)}});
  }
  return groups;
}

}  // namespace

Plan plan_worst(const Model& model, const DamageTable& table, const Plan& planned, const PlanningOptions& options) {
  const Target& target = find_target(options.target);
  const TargetRules rules = planning_rules(options.target, options.codebooks);
  const std::vector<TensorDamage> tensors = tensor_damages(model, table, target);
  const KnapsackProblem problem = planning_problem(tensors, rules);
  uint64_t bytes = 0;  // padded as the candidates are
  for (const PlanEntry& entry : planned.entries) bytes += rules.padded_bytes(entry.bytes);
  const KnapsackSolution worst = worst_choice(problem, bytes);
  if (!worst.feasible || planned.entries.size() != tensors.size())
    fail(ErrorKind::kInvalidArgument,
         "plan: {} has {} matrices in {} bytes, which no choice of {}'s schemes for {} has", planned.label,
         planned.entries.size(), bytes, options.target, tensors.size());
  Plan plan = plan_of_choice(tensors, rules, problem, worst.choice);
  plan.label = "worst";
  plan.budget_text = std::to_string(bytes);
  plan.budget_bytes = bytes;
  plan.provenance = table.provenance;
  for (size_t i = 0; i < plan.entries.size(); ++i) {
    const double more = plan.entries[i].damage - planned.entries[i].damage;
    if (more > 0.01 * plan.predicted_kl_nats)
      plan.entries[i].reason =
          fmt::format("{:.4g} nats more than as {}: {:.0f}% of what makes this the worst", more,
                      planned.entries[i].scheme, 100 * more / (plan.predicted_kl_nats - planned.predicted_kl_nats));
  }
  constexpr int64_t kMixes = 1000;
  const RandomChoices mixes = random_choices(problem, bytes, kMixes, 1);
  plan.provenance["random_mixes"] = {{"count", mixes.count},
                                     {"mean_kl_nats", mixes.mean},
                                     {"least_kl_nats", mixes.least},
                                     {"most_kl_nats", mixes.most}};
  if (!table.groups.empty())
    plan.provenance["worst_by_group"] = worst_by_group(tensors, table, rules, planned, plan, bytes);
  return plan;
}

}  // namespace vernier
