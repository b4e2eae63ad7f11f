#include "diagnose/task_runner.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <set>

#include "diagnose/damage.h"

namespace vernier {

namespace {

/// Components whose "quantized" weights are their own, which go through the same stack as the others.
std::vector<Component> controls_of(const DiagnosisTask& task, Controls controls) {
  const auto whole = [&](ComponentKind kind) {
    return Component{.kind = kind, .layer = task.layer, .stack = task.stack};
  };
  std::vector<Component> components;
  if (controls != Controls::kNone) components = {whole(ComponentKind::kHead), whole(ComponentKind::kKvHead)};
  if (controls == Controls::kAll)
    for (const Component& control : {whole(ComponentKind::kFfn), component_of(task.matrices.front()),
                                     component_of(task.matrices.back()), whole(ComponentKind::kLayer)})
      components.push_back(control);
  return components;
}

}  // namespace

TaskRunner::Values TaskRunner::quantized_values(const std::vector<TensorId>& matrices) const {
  Values values;
  for (const TensorId& id : matrices) values[id] = quantized_.make(id);
  return values;
}

TaskSums TaskRunner::measure(const DiagnosisTask& task, Controls controls, const Values& values,
                             const std::function<void(int64_t)>& on_window) {
  const WeightSource changed = [&](const TensorId& id) { return values.at(id); };
  const WeightSource unchanged = [&](const TensorId& id) { return model_.weight(id); };
  TaskSums sums;
  if (task.layer < 0) {
    for (const Component& c : task.components) sums.components.push_back(sweep_.outside({c, changed}));
    on_window(static_cast<int64_t>(task.components.size() * windows_.clusters.size()));
    return sums;
  }
  std::vector<Perturbation> perturbations;
  for (const Component& c : task.components) perturbations.push_back({c, changed});
  for (const Component& c : controls_of(task, controls)) perturbations.push_back({c, unchanged});
  const size_t own = task.components.size();
  sums.components = sweep_.layer(task.stack, task.layer, perturbations, [&] { on_window(static_cast<int64_t>(own)); });
  for (size_t i = own; i < sums.components.size(); ++i)
    for (const DamageSums& window : sums.components[i]) sums.control_kl = std::max(sums.control_kl, window.kl);
  sums.components.resize(own);
  return sums;
}

TaskSums TaskRunner::measure(const DiagnosisTask& task, Controls controls,
                             const std::function<void(int64_t)>& on_window) {
  std::set<TensorId> touched;
  for (const Component& c : task.components)
    for (const WeightSlice& slice : slices_of(model_.config(), c)) touched.insert(slice.tensor);
  return measure(task, controls, quantized_values({touched.begin(), touched.end()}), on_window);
}

DiagnosisPart TaskRunner::run(const DiagnosisTask& task, const std::function<void(int64_t)>& on_window) {
  const Values values = quantized_values(task.matrices);
  const Controls controls = task.layer == 0 ? Controls::kAll : Controls::kHeads;
  const TaskSums sums = measure(task, controls, values, on_window);
  DiagnosisPart part;
  part.control_kl = sums.control_kl;
  for (size_t i = 0; i < task.components.size(); ++i) {
    part.components.push_back(component_damage(model_, task.components[i], windows_.clusters, sums.components[i]));
    if (groups_.names.empty()) continue;
    part.components.back().groups = damage_by_group(windows_, groups_, sums.components[i]);
    part.unit_kl.push_back(kl_of_units(groups_, sums.components[i]));
  }
  for (const TensorId& id : task.matrices) part.weight_facts.push_back(quantized_.facts(id, values.at(id)));
  return part;
}

void TaskRunner::skip(const DiagnosisTask& task) {
  if (task.layer >= 0) sweep_.layer(task.stack, task.layer, {}, nullptr);  // the next layer needs this one's stream
}

}  // namespace vernier
