#pragma once

// The loss of a batch by a recipe, and its gradient. On a GPU the kernels of the first batch are recorded and replayed for
// all others, wherever they depend on nothing but what stands in memory (ops/recorded_work.h): started one by one they take
// nearly twice as long.

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <vector>

#include "engine/rounded_inputs.h"
#include "finetune/batch_forward.h"
#include "finetune/learned_model.h"
#include "finetune/losses.h"
#include "finetune/resampled_text.h"
#include "finetune/step_clock.h"
#include "finetune/stream_metric.h"
#include "finetune/weighting.h"
#include "ops/recorded_work.h"

namespace vernier {

/// What differs from batch to batch, on the device.
struct GradientBatch {
  ExampleBatch examples;
  Redraws redraws{};  ///< undefined: no token is drawn anew
  /// Defined: the examples' texts were drawn already (DrawnAhead), from these, and what is drawn now is how they are met
  /// next. Of losses that need a teacher.
  at::Tensor given{};
  at::Tensor teacher_states{};               ///< as KeptAnswers has them; undefined: the teacher is asked
  at::Tensor weights;                        ///< as Weighting::weights_of gave them
  at::Tensor feature_weight{};               ///< scalar, as Answered has it
  std::function<bool(size_t)> dropped = {};  ///< as LearnedModel::seen takes it
};

class BatchGradient {
 public:
  /// All must outlive it.
  struct Recipe {
    const ModelConfig& config;
    const LearnedModel& model;
    const BatchForward& teacher;
    const LossRow& loss;
    Weighting& weighting;
    RoundedInputs inputs;
    const FinetuneOptions& options;
    int64_t rows = 0;                                    ///< of the longest text
    const std::vector<StreamMetric>* metrics = nullptr;  ///< of losses that need them, there by the first batch
  };
  BatchGradient(const Recipe& recipe, const at::Device& device, StepClock& clock);

  /// Whether texts should be padded to `rows`, so that all batches are alike.
  bool is_recorded() const { return recorded_; }

  struct Result {
    at::Tensor loss;                    ///< scalar
    std::vector<at::Tensor> gradients;  ///< by leaf, undefined where the loss does not depend on it
    at::Tensor drawn_ahead;             ///< int64 [examples, rows], of a batch with `given`
  };
  /// `leaves`: the same at every call, with respect to which the gradient is. The result lasts until the next call.
  /// The loss is divided by `share`, and so is the gradient.
  const Result& of(const GradientBatch& batch, const std::vector<at::Tensor>& leaves, double share);

 private:
  at::Tensor loss_of(const GradientBatch& batch, at::Tensor& drawn_ahead);
  Result computed(const GradientBatch& batch, const std::vector<at::Tensor>& leaves, double share);

  Recipe r_;
  at::Device device_;
  StepClock& clock_;
  bool recorded_;
  GradientBatch memory_;  // that the recording reads
  std::unique_ptr<RecordedWork> recording_;
  Result result_;
};

}  // namespace vernier
