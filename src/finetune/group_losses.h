#pragma once

// KL and NLL of every group, from a model beside its teacher.

#include "finetune/batch_forward.h"
#include "vernier/finetune.h"

namespace vernier {

/// @param model what is judged, with its inputs rounded; `teacher` what it is judged by: both float32 on one device.
/// `batch`: examples at once. `progress` may be nullptr
FinetuneEvaluation measure_groups(const Model& model, const Model& teacher, const TrainingData& data, int64_t batch,
                                  const RoundedInputs& inputs, ProgressSink* progress = nullptr);

/// What a checkpoint is chosen by, a row each; less is better.
struct ObjectiveRow {
  std::string name;
  double (*value)(const FinetuneEvaluation& evaluation) = nullptr;
};
/// @throws Error{kInvalidArgument} that lists what exists
const ObjectiveRow& find_objective(const std::string& name);

}  // namespace vernier
