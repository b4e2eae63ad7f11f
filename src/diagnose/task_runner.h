#pragma once

// Runs the tasks of a diagnosis on a sweep.

#include <functional>
#include <map>

#include "diagnose/quantized_weights.h"
#include "diagnose/task.h"
#include "diagnose/window_groups.h"
#include "engine/engine.h"

namespace vernier {

/// What a task found in every window.
struct TaskSums {
  std::vector<std::vector<DamageSums>> components;  ///< [component][window]
  double control_kl = 0;                            ///< nats; the largest of a perturbation by nothing
};

class TaskRunner {
 public:
  /// All must outlive it.
  TaskRunner(const Model& model, const QuantizedWeights& quantized, Sweep& sweep, const EvaluationData& data)
      : model_(model), quantized_(quantized), sweep_(sweep), data_(data), groups_(window_groups(data)) {}

  /// Tasks of layers must come in order, each run or skipped. `on_window` is called after each window, with the number of
  /// components measured in it; from any thread, as Sweep says.
  DiagnosisPart run(const DiagnosisTask& task, const std::function<void(int64_t)>& on_window);
  /// The damage alone, in sums. @cost memory: the matrices of the task's layer, twice in float32
  TaskSums measure(const DiagnosisTask& task, const std::function<void(int64_t)>& on_window);
  /// Leaves the sweep where running it would.
  void skip(const DiagnosisTask& task);

 private:
  using Values = std::map<TensorId, at::Tensor>;
  Values quantized_values(const std::vector<TensorId>& matrices) const;
  TaskSums measure(const DiagnosisTask& task, const Values& values, const std::function<void(int64_t)>& on_window);

  const Model& model_;
  const QuantizedWeights& quantized_;
  Sweep& sweep_;
  const EvaluationData& data_;
  const WindowGroups groups_;
};

}  // namespace vernier
