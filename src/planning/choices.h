#pragma once

// What a plan chooses for, a matrix or all that the target's file holds in one type (stacked experts), and between what.

#include <string>
#include <vector>

#include "vernier/damage_table.h"
#include "vernier/planning.h"

namespace vernier {

/// One scheme for all matrices of a choice.
struct ChoiceOffer {
  std::string scheme;
  double bytes = 0;        ///< of all, padded as in the file, above the smallest offer
  std::vector<double> kl;  ///< of each, nats per token
};

struct Choice {
  std::vector<TensorId> tensors;
  std::vector<ChoiceOffer> offers;  ///< those that every matrix can take; a single one where there is nothing to choose
};

/// Every matrix of the model in one of them, by the first.
/// @throws Error{kInvalidArgument} as plan_within
std::vector<Choice> choices_of(const Model& model, const DamageTable& table, const PlanningOptions& options);

}  // namespace vernier
