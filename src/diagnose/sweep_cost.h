#pragma once

// How long a diagnosis takes, before it is begun: a few products of the model's shapes are timed, and the structure of
// the sweep (engine/suffix_sweep.h) says how many of them there are.
//
//   const double seconds = diagnosis_seconds(model, planning_diagnosis("llama.cpp"), /*windows=*/16, /*context=*/512);

#include <cstdint>

#include "vernier/diagnose.h"

namespace vernier {

/// Seconds of the parts of a sweep, for one window on each of the threads at once.
struct SweepUnits {
  double block = 0;       ///< a block on all positions
  double last_block = 0;  ///< the last one, which ends at the scored positions
  double ffn = 0;         ///< the feed-forward half of a block
  double last_ffn = 0;    ///< of the last one
  double scores = 0;      ///< logits of the scored positions, compared with the base's
};

/// What one component costs in each window: what is computed again in its own layer, the layers after it, its scores.
double component_seconds(const Component& component, const ModelConfig& config, const SweepUnits& units);

/// Windows of `context` tokens whose second half is scored. Weights are made up: time depends on shapes alone.
/// @cost at most a few seconds: layers of much work are timed on some of the positions, the vocabulary and the schemes'
///       searches in part; memory: one packed layer
SweepUnits time_sweep(const Model& model, const ComputeOptions& compute, int64_t windows, int64_t context);

/// Of every matrix in each of the schemes, or what they fall back to: quantized and decoded. @cost as time_sweep
double encoding_seconds(const Model& model, const std::vector<std::string>& schemes, int threads);

/// Of the whole diagnosis: the sweep with its controls, and every matrix in `scheme` and all candidates.
/// @cost as time_sweep
double diagnosis_seconds(const Model& model, const DiagnoseOptions& options, int64_t windows, int64_t context);

}  // namespace vernier
