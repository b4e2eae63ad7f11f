#pragma once

// llama.cpp's mixes (Q4_K_M and so on): which scheme llama-quantize gives to which tensor, by role, layer and a few facts
// about the model. Rows of a table; torch-free.
//
//   const Plan plan = mix_plan(tensors, rules, {.layers = 32, .heads = 32, .kv_heads = 8}, "q4_k_m");

#include <string>
#include <vector>

#include "plan/make_plan.h"

namespace vernier {

/// What the heuristics look at beside names and shapes.
struct MixModel {
  int64_t layers = 0;
  int64_t heads = 1, kv_heads = 1;  ///< of the first layer
  int64_t experts = 0;
  bool llama = false;      ///< general.architecture; with 80 layers and grouped queries it is taken for a 70B
  bool importance = true;  ///< whether values are searched by importances; a few layers get more bits without
};

/// Names of all mixes, in lower case as llama-quantize takes them, by falling size on a usual model.
std::vector<std::string> mix_names();

/// Every matrix in the scheme that llama-quantize would give it, with its fallback where the shape does not fit; those that
/// the target fixes as it wants them. Experts that are stored as one count as one.
/// @param tensors in the file's order, `stored_in` set where a tensor of the file holds several
/// @source llama.cpp, src/llama-quant.cpp (August 2026), without Falcon's and the ternary rules. Differs: counts of a role's
///         tensors are its layers' numbers, which they are unless layers lack the role.
/// @throws Error{kInvalidArgument} that lists the mixes
Plan mix_plan(const std::vector<TensorDamage>& tensors, const TargetRules& rules, const MixModel& model,
              const std::string& mix);

}  // namespace vernier
