#include "diagnose/task_runner.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "diagnose/damage.h"

namespace vernier {

namespace {

/// Components whose "quantized" weights are their own, which go through the same stack as the others: heads, whose
/// differences are added to the stream, in every layer; what recomputes the stream, in the first.
std::vector<Component> controls_of(const DiagnosisTask& task) {
  const int layer = task.layer;
  std::vector<Component> controls{{ComponentKind::kHead, layer, 0}, {ComponentKind::kKvHead, layer, 0}};
  if (layer == 0)
    for (const Component& control : {Component{ComponentKind::kFfn, 0}, component_of(task.matrices.front()),
                                     component_of(task.matrices.back()), Component{ComponentKind::kLayer, 0}})
      controls.push_back(control);
  return controls;
}

}  // namespace

DiagnosisPart TaskRunner::run_outside(const DiagnosisTask& task) {
  DiagnosisPart part;
  for (size_t i = 0; i < task.components.size(); ++i) {
    const at::Tensor values = quantized_.make(task.matrices[i]);
    const auto damage = sweep_.embedding({task.components[i], [&](const TensorId&) { return values; }});
    part.components.push_back(component_damage(model_, task.components[i], data_, damage));
    part.weight_facts.push_back(quantized_.facts(task.matrices[i], values));
  }
  return part;
}

DiagnosisPart TaskRunner::run(const DiagnosisTask& task, const std::function<void(int64_t)>& on_window) {
  if (task.layer < 0) {
    DiagnosisPart part = run_outside(task);
    on_window(static_cast<int64_t>(task.components.size() * data_.windows.size()));
    return part;
  }
  std::map<TensorId, at::Tensor> values;
  for (const TensorId& id : task.matrices) values[id] = quantized_.make(id);
  const WeightSource changed = [&](const TensorId& id) { return values.at(id); };
  const WeightSource unchanged = [&](const TensorId& id) { return model_.weight(id); };
  std::vector<Perturbation> perturbations;
  for (const Component& c : task.components) perturbations.push_back({c, changed});
  for (const Component& c : controls_of(task)) perturbations.push_back({c, unchanged});
  const size_t own = task.components.size();
  const auto damage = sweep_.layer(task.layer, perturbations, [&] { on_window(static_cast<int64_t>(own)); });
  DiagnosisPart part;
  for (size_t i = 0; i < own; ++i)
    part.components.push_back(component_damage(model_, task.components[i], data_, damage[i]));
  for (size_t i = own; i < damage.size(); ++i)
    for (const DamageSums& window : damage[i]) part.control_kl = std::max(part.control_kl, window.kl);
  for (const TensorId& id : task.matrices) part.weight_facts.push_back(quantized_.facts(id, values.at(id)));
  return part;
}

void TaskRunner::skip(const DiagnosisTask& task) {
  if (task.layer >= 0) sweep_.layer(task.layer, {}, nullptr);  // the next layer needs this one's stream
}

}  // namespace vernier
