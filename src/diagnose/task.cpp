#include "diagnose/task.h"

#include <fmt/format.h>

#include "vernier/blueprint.h"

namespace vernier {

std::vector<DiagnosisTask> diagnosis_tasks(const ModelConfig& config, const std::vector<Component>& components) {
  std::vector<DiagnosisTask> tasks;
  const auto outside = [&](ComponentKind kind) {
    for (const Component& c : components)
      if (c.kind == kind) tasks.push_back({name_of(c), -1, {c}, {slices_of(config, c).front().tensor}});
  };
  outside(ComponentKind::kEmbed);
  for (int layer = 0; layer < config.depth(); ++layer) {
    DiagnosisTask task{fmt::format("L{}", layer), layer, {}, {}};
    for (const Component& c : components)
      if (c.layer == layer) task.components.push_back(c);
    for (const TensorId& id : tensors_in(config, layer))
      if (is_matrix(id.role)) task.matrices.push_back(id);
    tasks.push_back(std::move(task));
  }
  outside(ComponentKind::kLmHead);
  return tasks;
}

}  // namespace vernier
