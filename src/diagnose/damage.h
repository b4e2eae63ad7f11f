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

/// Of each window the cluster that it is evidence of.
std::vector<int64_t> distinct_clusters(const EvaluationData& data);

Damage summarize(std::span<const int64_t> clusters, const std::vector<DamageSums>& windows);

ComponentDamage component_damage(const Model& model, const Component& component, std::span<const int64_t> clusters,
                                 const std::vector<DamageSums>& windows);

}  // namespace vernier
