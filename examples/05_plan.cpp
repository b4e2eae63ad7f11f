// 05_plan OUT: bits where they matter, within 4.6 per weight, as OUT/plan.json and OUT/recipe.txt. Wants what 04 wrote.

#include "example.h"
#include "vernier/diagnose.h"
#include "vernier/plan.h"
#include "vernier/scheme.h"

namespace {

/// What each scheme would cost. Damage grows with the error power that enters, so the measured one is scaled by it.
vernier::PlanItem item_of(const vernier::WeightFacts& facts, double measured_kl) {
  vernier::PlanItem item{vernier::gguf_name(facts.tensor), {}};
  for (const auto& [scheme, power] : facts.error_power)
    item.candidates.push_back({scheme, vernier::Scheme::parse(scheme).bytes(facts.rows, facts.cols),
                               measured_kl * power / facts.error_power.at(facts.scheme)});
  return item;
}

void plan(char** argv) {
  const std::string out = argv[1], file = out + "/diagnosis.json";
  const vernier::Diagnosis diagnosis =
      vernier::diagnosis_from_json(nlohmann::ordered_json::parse(example::read_text(file)), file);
  vernier::KnapsackProblem problem;
  vernier::Plan plan{.target = "llama.cpp", .label = "planned", .budget_text = "4.6bpw"};
  uint64_t weights = 0;
  for (const vernier::WeightFacts& facts : diagnosis.weight_facts) {
    const auto& [role, layer] = facts.tensor;
    const vernier::Component alone = layer >= 0 ? vernier::Component{vernier::ComponentKind::kTensor, layer, 0, role}
                                     : role == vernier::TensorRole::kOutput
                                         ? vernier::Component{vernier::ComponentKind::kLmHead}
                                         : vernier::Component{vernier::ComponentKind::kEmbed};
    problem.items.push_back(item_of(facts, diagnosis.find(alone)->kl.mean));
    plan.entries.push_back({vernier::gguf_name(facts.tensor), std::string(role_name(role)), layer, facts.rows, facts.cols});
    weights += static_cast<uint64_t>(facts.rows * facts.cols);
  }
  plan.budget_bytes = problem.budget_bytes = vernier::Budget::parse(plan.budget_text).bytes(0, weights, 2 * weights);

  const vernier::KnapsackSolution solution = vernier::solve_knapsack(problem);
  if (!solution.feasible) throw vernier::Error(vernier::ErrorKind::kInfeasible, "no plan is that small");
  const std::vector<std::string> reasons = vernier::explain_solution(problem, solution);
  for (size_t i = 0; i < plan.entries.size(); ++i) {
    const vernier::Candidate& chosen = problem.items[i].candidates[solution.choice[i]];
    plan.entries[i].scheme = chosen.scheme;
    plan.entries[i].bytes = chosen.bytes;
    plan.entries[i].damage = chosen.damage;
    plan.entries[i].reason = reasons[i];
  }
  plan.tensor_bytes = solution.bytes;
  plan.predicted_kl_nats = solution.damage;
  plan.lower_bound_kl_nats = solution.lower_bound;
  std::printf("%s\n%llu of %llu bytes, predicted KL %.5f nats\n", recipe_text(plan).c_str(),
              static_cast<unsigned long long>(plan.tensor_bytes), static_cast<unsigned long long>(plan.budget_bytes),
              plan.predicted_kl_nats);
  example::write_text(out + "/plan.json", vernier::plan_to_json(plan).dump(2));
  example::write_text(out + "/recipe.txt", vernier::recipe_text(plan));
}

}  // namespace

int main(int argc, char** argv) { return example::run(argc, argv, "OUT", plan); }
