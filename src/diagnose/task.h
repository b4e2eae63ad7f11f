#pragma once

// A diagnosis as tasks: each is a layer, or a matrix outside of the layers, with the components to measure there; what a
// task finds is a part, and the parts in the order of their tasks are the diagnosis. A task needs nothing of another, so
// that parts can be kept on disk or come from elsewhere.
//
//   for (const DiagnosisTask& task : diagnosis_tasks(model.config(), components)) parts.push_back(runner.run(task));

#include <string>
#include <vector>

#include "vernier/diagnose.h"

namespace vernier {

struct DiagnosisTask {
  std::string name;  ///< "L3", "embed", "lm_head", "image.L3"
  int layer = -1;    ///< -1: outside of the layers
  std::vector<Component> components;
  std::vector<TensorId> matrices;  ///< of which facts are wanted
  Stack stack = Stack::kOnly;
};

/// What one task found, in its order.
struct DiagnosisPart {
  std::vector<ComponentDamage> components;
  std::vector<WeightFacts> weight_facts;
  double control_kl = 0;  ///< nats; the largest KL of a perturbation by nothing
  /// KL sums in nats, [component][unit of window_groups()]; empty where the data has no groups.
  std::vector<std::vector<double>> unit_kl{};
};

/// Stack by stack: what stands before the layers, every layer in order, what stands after them; a layer that nothing is
/// measured of has facts all the same.
/// @throws Error{kInvalidArgument} for a component that the model does not have
std::vector<DiagnosisTask> diagnosis_tasks(const ModelConfig& config, const std::vector<Component>& components);

}  // namespace vernier
