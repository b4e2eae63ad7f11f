#include "plan/choose_schemes.h"

#include <algorithm>
#include <numeric>

#include "base/fail.h"

namespace vernier {

namespace {

using Kind = PlanObjective::Kind;

std::vector<std::string> names_of(const std::vector<PlanGroup>& groups) {
  std::vector<std::string> names;
  for (const PlanGroup& group : groups) names.push_back(group.name);
  return names;
}

/// By group, their sum 1: as asked for, or by size.
std::vector<double> weights_of(const PlanObjective& objective, const std::vector<PlanGroup>& groups) {
  std::vector<double> weights;
  for (const PlanGroup& group : groups) {
    const auto named = objective.weights.find(group.name);
    weights.push_back(objective.weights.empty() ? group.size : named == objective.weights.end() ? 0 : named->second);
  }
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  if (!(sum > 0))
    fail(ErrorKind::kInvalidArgument, "plan: objective {}: the sizes of the groups are not known; name weights",
         objective.text());
  for (double& weight : weights) weight /= sum;
  return weights;
}

}  // namespace

SchemeChooser::SchemeChooser(const std::vector<TensorDamage>& tensors, const PlanRequest& request,
                             const KnapsackProblem& problem)
    : request_(request) {
  if (request.objective.kind == Kind::kMean) return;
  request.objective.require_groups(names_of(request.groups));
  if (request.objective.kind == Kind::kWeighted) weights_ = weights_of(request.objective, request.groups);
  for (size_t g = 0; g < request.groups.size(); ++g) {
    auto& group = damages_.emplace_back();
    for (size_t i = 0; i < tensors.size(); ++i) {
      auto& item = group.emplace_back();
      for (const Candidate& candidate : problem.items[i].candidates) {
        const auto& known = tensors[i].group_kl.at(g);
        const auto kl = known.find(candidate.scheme);
        // What costs nothing on the whole (stored so, or fixed by the target) costs no group anything.
        item.push_back(kl == known.end() || candidate.damage == 0 ? candidate.damage : kl->second);
      }
    }
  }
}

PlannedObjective SchemeChooser::planned(const std::vector<double>& weights, const std::vector<double>& damage,
                                        const std::vector<double>& least) const {
  PlannedObjective objective{request_.objective.text(), 0, 0, {}};
  for (size_t g = 0; g < weights.size(); ++g)
    objective.groups.push_back({request_.groups[g].name, weights[g], damage[g], least[g]});
  return objective;
}

SchemeChoice SchemeChooser::for_worst_group(const KnapsackProblem& problem) const {
  const MinimaxSolution found = minimize_worst_group(problem, damages_);
  SchemeChoice choice{found.knapsack, {}, std::nullopt};
  if (!found.knapsack.feasible) return choice;
  choice.reasons = explain_solution(weighted_problem(problem, damages_, found.weights), found.knapsack);
  choice.objective = planned(found.weights, found.group_damage, found.least_possible);
  choice.objective->kl_nats = found.knapsack.damage;
  choice.objective->lower_bound_kl_nats = found.knapsack.lower_bound;
  return choice;
}

SchemeChoice SchemeChooser::weighted(const KnapsackProblem& problem) const {
  const KnapsackProblem weighted = weighted_problem(problem, damages_, weights_);
  SchemeChoice choice{solve_knapsack(weighted), {}, std::nullopt};
  if (!choice.solution.feasible) return choice;
  choice.reasons = explain_solution(weighted, choice.solution);
  choice.objective =
      planned(weights_, damage_of_groups(damages_, choice.solution.choice), least_possible_damage(problem, damages_));
  choice.objective->kl_nats = choice.solution.damage;
  choice.objective->lower_bound_kl_nats = choice.solution.lower_bound;
  return choice;
}

SchemeChoice SchemeChooser::choose(const KnapsackProblem& problem) const {
  const KnapsackSolution by_mean = solve_knapsack(problem);
  if (!by_mean.feasible) return {by_mean, {}, std::nullopt};
  if (request_.objective.kind == Kind::kMean) return {by_mean, explain_solution(problem, by_mean), std::nullopt};
  SchemeChoice choice = request_.objective.kind == Kind::kWorstGroup ? for_worst_group(problem) : weighted(problem);
  choice.solution.lower_bound = by_mean.lower_bound;
  return choice;
}

}  // namespace vernier
