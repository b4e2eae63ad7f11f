#pragma once

// Runs the tasks of a diagnosis on a sweep.

#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "diagnose/quantized_weights.h"
#include "diagnose/swept_windows.h"
#include "diagnose/task.h"
#include "diagnose/window_groups.h"
#include "engine/sweep.h"

namespace vernier {

/// What a task found in every window.
struct TaskSums {
  std::vector<std::vector<DamageSums>> components;  ///< [component][window]
  double control_kl = 0;                            ///< nats; the largest of a perturbation by nothing
};

/// Perturbations by nothing that go through the same stack as a task's components, of layers.
enum class Controls {
  kNone,
  kHeads,  ///< those whose differences are added to the stream
  kAll,    ///< and those that recompute it
};

class TaskRunner {
 public:
  /// All but what is known of its windows must outlive it.
  TaskRunner(const Model& model, const QuantizedWeights& quantized, Sweep& sweep, SweptWindows windows)
      : model_(model),
        quantized_(quantized),
        sweep_(sweep),
        windows_(std::move(windows)),
        groups_(window_groups(windows_)) {}

  /// Tasks of layers must come in order, each run or skipped. `on_window` is called after each window, with the number of
  /// components measured in it; from any thread, as Sweep says.
  DiagnosisPart run(const DiagnosisTask& task, const std::function<void(int64_t)>& on_window);
  /// The damage alone, in sums. @cost memory: the matrices of the task's layer, twice in float32
  TaskSums measure(const DiagnosisTask& task, Controls controls, const std::function<void(int64_t)>& on_window);
  /// Leaves the sweep where running it would.
  void skip(const DiagnosisTask& task);

 private:
  using Values = std::map<TensorId, at::Tensor>;
  Values quantized_values(const std::vector<TensorId>& matrices) const;
  TaskSums measure(const DiagnosisTask& task, Controls controls, const Values& values,
                   const std::function<void(int64_t)>& on_window);

  const Model& model_;
  const QuantizedWeights& quantized_;
  Sweep& sweep_;
  const SweptWindows windows_;
  const WindowGroups groups_;
};

}  // namespace vernier
