#pragma once

// A model's matrices as the torch-free planner sees them.

#include <vector>

#include "plan/make_plan.h"
#include "vernier/damage_table.h"
#include "vernier/model.h"
#include "vernier/planning.h"
#include "vernier/target.h"

namespace vernier {

/// Shapes alone: enough for uniform plans and recipes, which predict nothing. In the order of Model::matrices().
std::vector<TensorDamage> shapes_of(const Model& model, const Target& target);

/// Of every matrix of the model. @throws Error{kInvalidArgument} for the table of another model
std::vector<TensorDamage> tensor_damages(const Model& model, const DamageTable& table, const Target& target);

/// Plan::method of plans that are made of the table; "": Plan's own.
inline std::string method_for(const DamageTable& table, const PlanningOptions& options) {
  return options.method.empty() ? table.method : options.method;
}

}  // namespace vernier
