#include "diagnose/sweepable.h"

#include "engine/vision_sweep.h"

namespace vernier {

namespace {

template <class Value>
std::vector<Value> chosen_of(const std::vector<Value>& all, const std::vector<size_t>& chosen) {
  std::vector<Value> some;
  for (const size_t i : chosen) some.push_back(all[i]);
  return some;
}

EvaluationData part_of(const EvaluationData& data, const std::vector<size_t>& chosen) {
  EvaluationData part = data;
  part.windows = chosen_of(data.windows, chosen);
  return part;
}

AnswerData part_of(const AnswerData& data, const std::vector<size_t>& chosen) {
  AnswerData part = data;
  part.inputs.images = static_cast<int64_t>(chosen.size());
  part.inputs.pixels = [pixels = data.inputs.pixels, chosen](int64_t image) {
    return pixels(static_cast<int64_t>(chosen[static_cast<size_t>(image)]));
  };
  part.labels = chosen_of(data.labels, chosen);
  part.clusters = chosen_of(data.clusters, chosen);
  if (!data.groups.empty()) part.groups = chosen_of(data.groups, chosen);
  return part;
}

}  // namespace

Sweepable sweepable(const Model& model, const EvaluationData& data) {
  const auto part = std::make_shared<EvaluationData>();  // outlives the sweep of it
  return {swept_windows(data),
          [&model, &data, part](const Engine& engine, const std::vector<size_t>& chosen, ComputeType type) {
            *part = part_of(data, chosen);
            return engine.sweep(model, *part, type);
          }};
}

Sweepable sweepable(const Model& model, const AnswerData& data) {
  check_answer_data(model, data, "sweep");
  const auto part = std::make_shared<AnswerData>();
  return {swept_windows(data),
          [&model, &data, part](const Engine& engine, const std::vector<size_t>& chosen,
                                ComputeType type) -> std::unique_ptr<Sweep> {
            *part = part_of(data, chosen);
            return std::make_unique<VisionSweep>(engine, model, *part, type);
          }};
}

SweptWindows some_of(const SweptWindows& windows, const std::vector<size_t>& chosen) {
  return {chosen_of(windows.clusters, chosen), chosen_of(windows.scored, chosen), chosen_of(windows.groups, chosen)};
}

}  // namespace vernier
