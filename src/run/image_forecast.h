#pragma once

// How long a run of a model that sees takes, and how much memory.

#include <vector>

#include "run/run_inputs.h"
#include "vernier/run.h"

namespace vernier {

/// As forecast_stages. @cost a forward pass of some images without content
std::vector<RunForecast::Stage> forecast_image_stages(const Model& model, const RunOptions& options,
                                                      const RunInputs& inputs);

/// Of measuring every component, whatever the run's effort. @cost as forecast_image_stages
double image_diagnosis_seconds(const Model& model, const RunOptions& options, const RunInputs& inputs);

/// What the model, its copies and the streams of the diagnosis take.
double image_run_bytes(const Model& model, const RunOptions& options, const RunInputs& inputs);

}  // namespace vernier
