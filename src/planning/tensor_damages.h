#pragma once

// A model's matrices as the torch-free planner sees them.

#include <vector>

#include "plan/make_plan.h"
#include "vernier/damage_table.h"
#include "vernier/model.h"
#include "vernier/target.h"

namespace vernier {

/// Shapes alone: enough for uniform plans and recipes, which predict nothing. In the order of Model::matrices().
std::vector<TensorDamage> shapes_of(const Model& model, const Target& target);

/// Of every matrix of the model. @throws Error{kInvalidArgument} for the table of another model
std::vector<TensorDamage> tensor_damages(const Model& model, const DamageTable& table, const Target& target);

}  // namespace vernier
