#pragma once

// Plans for a model: the one its diagnosis asks for within a budget, and those that need no diagnosis, to compare with.
// In: a Model, its tokenizer (part of the file's size), a Diagnosis. Out: a Plan for quantize.h and export.h.
//
//   const Diagnosis diagnosis = diagnose(model, calibration, windows, planning_diagnosis("llama.cpp"));
//   const Plan plan = plan_within(model, tokenizer, diagnosis, "+10%");

#include <cstdint>
#include <string>
#include <vector>

#include "vernier/diagnose.h"
#include "vernier/export.h"
#include "vernier/plan.h"

namespace vernier {

struct PlanningOptions {
  std::string target = "llama.cpp";
  ExportOptions file;  ///< what else decides the size of the file
};

/// What plan_within has to know: `scheme` measured alone in every component, and the weight error of every scheme that
/// the target loads.
DiagnoseOptions planning_diagnosis(const std::string& target = "llama.cpp", const std::string& scheme = "gguf:q4_k");

/// The plan of least predicted damage whose whole file stays within a budget such as "+10%", which is over our own
/// uniform q4_k file with the same metadata.
/// @throws Error{kInvalidArgument} when the diagnosis is of another model or left a matrix out; Error{kInfeasible} with
///         the smallest reachable size
Plan plan_within(const Model& model, const TokenizerModel& tokenizer, const Diagnosis& diagnosis,
                 const std::string& budget, const PlanningOptions& options = {});

/// Uniform plans of the target whose file fits into `budget_bytes`, by rising size.
std::vector<Plan> uniform_plans_within(const Model& model, const TokenizerModel& tokenizer, const Diagnosis& diagnosis,
                                       uint64_t budget_bytes, const PlanningOptions& options = {});

/// The recipe's lines applied to the model's matrices.
/// @throws Error{kInvalidArgument} for a matrix that no line matches and for a line that matches none
Plan plan_from_recipe(const Model& model, const Recipe& recipe, const std::string& label);

/// Every matrix in one scheme, with a fallback by row length where it does not fit.
Plan plan_uniform(const Model& model, const std::string& scheme);

}  // namespace vernier
