#pragma once

// The rows of evaluation.json that are measured on labelled images.

#include <vector>

#include "run/run_stages.h"
#include "vernier/evaluate.h"

namespace vernier {

/// Every candidate, as it is read back, beside the source: into `files`, in their order. @return the source's own
Evaluation evaluate_on_images(const RunContext& run, const std::vector<RunCandidate>& candidates,
                              std::vector<Evaluation>& files);

}  // namespace vernier
