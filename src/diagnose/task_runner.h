#pragma once

// Runs the tasks of a diagnosis on a sweep.

#include <functional>
#include <map>

#include "diagnose/quantized_weights.h"
#include "diagnose/task.h"
#include "engine/engine.h"

namespace vernier {

class TaskRunner {
 public:
  /// All must outlive it.
  TaskRunner(const Model& model, const QuantizedWeights& quantized, Sweep& sweep, const EvaluationData& data)
      : model_(model), quantized_(quantized), sweep_(sweep), data_(data) {}

  /// Tasks of layers must come in order, each run or skipped. `on_window` is called after each window, with the number of
  /// components measured in it; from any thread, as Sweep says.
  DiagnosisPart run(const DiagnosisTask& task, const std::function<void(int64_t)>& on_window);
  /// Leaves the sweep where running it would.
  void skip(const DiagnosisTask& task);

 private:
  DiagnosisPart run_outside(const DiagnosisTask& task);

  const Model& model_;
  const QuantizedWeights& quantized_;
  Sweep& sweep_;
  const EvaluationData& data_;
};

}  // namespace vernier
