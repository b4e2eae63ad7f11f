#pragma once

// Windows of text, or images, as what is measured part after part: any of them make a sweep.
//
//   const Sweepable data = sweepable(model, windows);
//   const std::unique_ptr<Sweep> sweep = data.sweep(*engine, {0, 4, 2}, type);
//   summarize(some_of(data.windows, {0, 4, 2}).clusters, sweep->outside(perturbation));

#include <functional>
#include <memory>
#include <vector>

#include "diagnose/swept_windows.h"
#include "engine/engine.h"
#include "engine/sweep.h"

namespace vernier {

struct Sweepable {
  SweptWindows windows;  ///< all there are
  /// Of those windows. It must be gone before another one is asked for. @cost as Engine::sweep or VisionSweep
  std::function<std::unique_ptr<Sweep>(const Engine& engine, const std::vector<size_t>& chosen, ComputeType type)>
      sweep;
};

/// Model and data must outlive it. @throws Error as check_answer_data
Sweepable sweepable(const Model& model, const EvaluationData& data);
Sweepable sweepable(const Model& model, const AnswerData& data);

SweptWindows some_of(const SweptWindows& windows, const std::vector<size_t>& chosen);

}  // namespace vernier
