#pragma once

// KL and NLL of every group, from a model beside its teacher.

#include "finetune/batch_forward.h"
#include "vernier/finetune.h"

namespace vernier {

/// What is judged, with its inputs rounded.
struct JudgedModel {
  const Model& model;
  RoundedInputs inputs = {};
};

/// Of each model in turn, beside `teacher`, which answers once for all of them; it may be among them. All float32 on one
/// device. `batch`: examples at once. `progress` may be nullptr
std::vector<FinetuneEvaluation> measure_groups(const std::vector<JudgedModel>& models, const Model& teacher,
                                               const TrainingData& data, int64_t batch,
                                               ProgressSink* progress = nullptr);

/// Of one.
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
