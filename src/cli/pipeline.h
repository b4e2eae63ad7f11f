#pragma once

// The glue between artefacts that `run` and the single-stage subcommands share.

#include <string>
#include <vector>

#include "plan/make_plan.h"
#include "vernier/diagnose.h"
#include "vernier/export.h"
#include "vernier/plan.h"

namespace vernier {

/// Per matrix what the planner needs. @throws Error{kInvalidArgument} when the diagnosis left a matrix out
std::vector<TensorDamage> tensor_damages(const Diagnosis& diagnosis);

/// What a target can load and is therefore measured.
DiagnoseOptions diagnose_options(const std::string& target, const std::string& scheme);

/// A plan for a whole-file budget such as "+10%", whose base is our own uniform int4 file with the same metadata.
/// @throws Error{kInfeasible} with the smallest reachable size
Plan plan_within(const Model& model, const TokenizerModel& tokenizer, const Diagnosis& diagnosis,
                 const std::string& target, const std::string& budget, const ExportOptions& options);

/// Uniform plans of the target whose file fits into `budget_bytes`, by rising size.
std::vector<Plan> uniform_plans_within(const Model& model, const TokenizerModel& tokenizer, const Diagnosis& diagnosis,
                                       const std::string& target, uint64_t budget_bytes, const ExportOptions& options);

/// A plan that an earlier stage wrote, or `recipe` lines applied to the model's matrices.
Plan plan_from_recipe(const Model& model, const Recipe& recipe, const std::string& label);

/// Every matrix in one scheme.
Plan plan_uniform(const Model& model, const std::string& scheme);

/// Table of a plan for a terminal.
std::string plan_table(const Plan& plan);

/// 8 bits per byte of the whole file over its weights.
double bits_per_weight(uint64_t file_bytes, const Model& model);

}  // namespace vernier
