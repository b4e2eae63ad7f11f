#pragma once

// The loop over steps: forward, backward, AdamW, evaluations, checkpoints, the best one kept.

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/rounded_inputs.h"
#include "finetune/learned_model.h"
#include "vernier/finetune.h"

namespace vernier {

/// What one run is about. All must outlive it.
struct TrainerSetup {
  const Model& source;
  const Model& start;    ///< where it begins
  const Model& teacher;  ///< the same in float32 on the device
  const std::map<TensorId, Scheme>& schemes;
  const std::map<TensorId, std::vector<float>>& importances;
  RoundedInputs inputs;            ///< of the model that learns
  const std::set<TensorId>& held;  ///< these do not learn
  const TrainingData& learned;
  const TrainingData& validation;
  const FinetuneOptions& options;
  bool can_learn = true;               ///< false: the loss is as low as it can be before the first step
  std::string stage{};                 ///< for progress
  std::filesystem::path checkpoint{};  ///< empty: none
  std::string key{};        ///< of model, data and options: a checkpoint with another one is of something else
  std::string early_key{};  ///< of what is known of these before values are searched and text is written
};

struct TrainerResult {
  FinetuneCurve curve;
  Model model;
};

/// @throws Error as finetune
TrainerResult train(const TrainerSetup& setup, ProgressSink* progress);

}  // namespace vernier
