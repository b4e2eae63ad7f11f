#pragma once

// A study of a language model or of a stack that answers: what they have in common.

#include <functional>
#include <memory>
#include <vector>

#include "activations/watched_inputs.h"
#include "vernier/activations.h"

namespace vernier {

/// KL of the model with each of `candidates` from the exact one.
using Divergences =
    std::function<std::vector<Measured>(const std::vector<std::shared_ptr<const RoundedSites>>& candidates)>;

/// Facts and static ranges from `calibration`, errors on `inputs`.
ActivationStudy study_inputs(const Model& model, const WatchedInputs& calibration, const WatchedInputs& inputs,
                             const Divergences& divergences, const ActivationStudyOptions& options,
                             ProgressSink* progress);

}  // namespace vernier
