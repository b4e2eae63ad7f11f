#include "diagnose/task.h"

#include "vernier/blueprint.h"

namespace vernier {

namespace {

void add_tasks(const ModelConfig& stack, const std::vector<Component>& components, std::vector<DiagnosisTask>& tasks) {
  const auto outside = [&](bool before_layers) {
    for (const Component& c : components)
      if (c.layer < 0 && c.stack == stack.stack && (restart_of(c) == Restart::kEmbedding) == before_layers)
        tasks.push_back({name_of(c), -1, {c}, {}, c.stack});
  };
  outside(true);
  for (int layer = 0; layer < stack.depth(); ++layer) {
    const Component whole{.kind = ComponentKind::kLayer, .layer = layer, .stack = stack.stack};
    DiagnosisTask task{name_of(whole), layer, {}, {}, stack.stack};
    for (const Component& c : components)
      if (c.layer == layer && c.stack == stack.stack) task.components.push_back(c);
    for (const TensorId& id : tensors_in(stack, layer))
      if (is_matrix(id.role)) task.matrices.push_back(id);
    tasks.push_back(std::move(task));
  }
  outside(false);
}

}  // namespace

std::vector<DiagnosisTask> diagnosis_tasks(const ModelConfig& config, const std::vector<Component>& components) {
  std::vector<DiagnosisTask> tasks;
  for (const ModelConfig& stack : config.stacks.empty() ? std::vector{config} : config.stacks)
    add_tasks(stack, components, tasks);
  for (DiagnosisTask& task : tasks)
    if (task.layer < 0) task.matrices = {slices_of(config, task.components.front()).front().tensor};
  return tasks;
}

}  // namespace vernier
