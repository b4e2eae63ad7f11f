#pragma once

// From damage to a plan: candidates per tensor, the target's rules, the byte budget of the whole file, the
// solver, and a reason per tensor. Torch-free: it sees names, shapes and numbers.

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "vernier/plan.h"
#include "vernier/plan_objective.h"
#include "vernier/target_rules.h"

namespace vernier {

/// What is known about one matrix.
struct TensorDamage {
  std::string tensor;  ///< name_of(TensorId)
  TensorRole role = TensorRole::kTokenEmbedding;
  int64_t layer = -1;
  int64_t rows = 0, cols = 0;
  std::map<std::string, double> kl;  ///< scheme -> predicted KL, nats per token; one that is missing is not foretold
  /// What the source stores it in: kept byte for byte, so its damage is 0 whatever was measured. "" when unknown.
  std::string stored_scheme = {};
  int64_t expert = -1;                                       ///< -1: of no expert
  std::string stored_in = {};                                ///< tensor of the target's file that holds it
  std::vector<std::map<std::string, double>> group_kl = {};  ///< as kl, by group of PlanRequest; empty: none is known
  /// So many times its nats count where make_plan chooses by the mean; those that a plan tells stay what they are.
  double counts = 1;
};

struct PlanGroup {
  std::string name;
  double size = 0;  ///< its weight where weights go by size
};

struct PlanRequest {
  TargetRules rules{};
  std::string budget_text{};
  uint64_t budget_bytes = 0;  ///< of the whole file
  /// Size of the file a plan would make, exact: its tensors, padded, and what stands beside them, which is as long
  /// whatever is chosen.
  std::function<uint64_t(const Plan&)> file_bytes{};
  PlanObjective objective{};
  std::vector<PlanGroup> groups{};
  std::string method{};  ///< of the plan; empty: Plan's own
};

/// 0 for what the source stores already.
std::optional<double> predicted_damage(const TensorDamage& tensor, const std::string& scheme);

/// The schemes to choose from are the target's and, per matrix, the one that it is stored in. Experts that the target
/// stacks get one scheme.
/// @throws Error{kInvalidArgument} for an objective over groups that are not known; {kInfeasible} with the smallest reachable size when no plan meets the budget
Plan make_plan(const std::vector<TensorDamage>& tensors, const PlanRequest& request);

/// The candidates of every matrix and which matrices go together; without a budget.
KnapsackProblem planning_problem(const std::vector<TensorDamage>& tensors, const TargetRules& rules);
/// A choice for every item of that problem as a plan without label, budget and reasons.
Plan plan_of_choice(const std::vector<TensorDamage>& tensors, const TargetRules& rules, const KnapsackProblem& problem,
                    const std::vector<size_t>& choice);

/// Every matrix in one scheme, with llama.cpp's fallback by row length where the scheme does not fit, and those that the
/// target fixes as it wants them.
Plan uniform_plan(const std::vector<TensorDamage>& tensors, const TargetRules& rules, const std::string& scheme);

/// Refuses a budget that no choice of schemes can meet, by shapes alone: before anything is measured.
/// @throws Error{kInfeasible} with the smallest reachable size
void require_reachable(std::vector<TensorDamage> tensors, const PlanRequest& request);

/// The smallest file that any choice of schemes makes, in PlanRequest::file_bytes.
uint64_t smallest_file(const std::vector<TensorDamage>& tensors, const PlanRequest& request);

}  // namespace vernier
