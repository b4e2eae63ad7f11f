#pragma once

// How long each stage of a run will take: counts of windows and files times a few timed products.

#include <vector>

#include "run/run_inputs.h"

namespace vernier {

/// The stages of a run by its effort, in their order; none where nothing is timed, on other devices than the CPU.
/// @cost a few seconds at most (diagnose/sweep_cost.h)
std::vector<RunForecast::Stage> forecast_stages(const Model& model, const RunOptions& options, const RunInputs& inputs);

/// Warns where --max-minutes is less than what cannot be cut short takes.
void warn_of_time(const RunOptions& options, const std::vector<RunForecast::Stage>& foretold, ProgressSink& progress);

/// Of the values of the plan's file and of the best uniform one, where their method makes Gram matrices.
double search_seconds(const Model& model, const RunOptions& options, int threads);

/// Resident memory of the stage that takes the most: packed models beside each other, about.
uint64_t forecast_peak_bytes(const Model& model, const RunOptions& options, const RunInputs& inputs);

}  // namespace vernier
