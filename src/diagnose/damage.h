#pragma once

// Sums of windows as means with errors.

#include <vector>

#include "engine/engine.h"
#include "vernier/diagnose.h"

namespace vernier {

/// Means over the scored tokens, with errors over distinct windows: copies of one say nothing new.
struct Damage {
  Measured kl, delta_nll, same_top;
};

Damage summarize(const EvaluationData& data, const std::vector<DamageSums>& windows);
/// Of some windows alone.
Damage summarize(const EvaluationData& data, const std::vector<DamageSums>& windows, const std::vector<size_t>& chosen);

ComponentDamage component_damage(const Model& model, const Component& component, const EvaluationData& data,
                                 const std::vector<DamageSums>& windows);

}  // namespace vernier
