#pragma once

// Sums of windows as means with errors.

#include <cstdint>
#include <span>
#include <vector>

#include "engine/sweep.h"
#include "vernier/diagnose.h"

namespace vernier {

/// Means over the scored tokens, with errors over distinct windows: copies of one say nothing new.
struct Damage {
  Measured kl, delta_nll, same_top;
};

/// `clusters`: of each window, what it is evidence of.
Damage summarize(std::span<const int64_t> clusters, const std::vector<DamageSums>& windows);
/// Of some windows alone.
Damage summarize(std::span<const int64_t> clusters, const std::vector<DamageSums>& windows,
                 const std::vector<size_t>& chosen);

ComponentDamage component_damage(const Model& model, const Component& component, std::span<const int64_t> clusters,
                                 const std::vector<DamageSums>& windows);

}  // namespace vernier
