#pragma once

// The schemes of all tensors under a plan's objective, with a reason for each.

#include <optional>
#include <string>
#include <vector>

#include "plan/make_plan.h"
#include "plan/minimax.h"

namespace vernier {

struct SchemeChoice {
  /// lower_bound is of the mean whatever the objective; damage of the objective.
  KnapsackSolution solution;
  std::vector<std::string> reasons;  ///< by item, in the weights of the objective
  std::optional<PlannedObjective> objective;
};

class SchemeChooser {
 public:
  /// @throws Error{kInvalidArgument} for an objective over groups that are not known
  SchemeChooser(const std::vector<TensorDamage>& tensors, const PlanRequest& request, const KnapsackProblem& problem);
  /// @param problem as above, of any budget
  SchemeChoice choose(const KnapsackProblem& problem) const;

 private:
  SchemeChoice for_worst_group(const KnapsackProblem& problem) const;
  SchemeChoice weighted(const KnapsackProblem& problem) const;
  PlannedObjective planned(const std::vector<double>& weights, const std::vector<double>& damage,
                           const std::vector<double>& least) const;

  const PlanRequest& request_;
  GroupDamages damages_;         // empty for the mean
  std::vector<double> weights_;  // of the groups, when weighted
};

}  // namespace vernier
