#pragma once

// HAWQ-V2's traces (arXiv:1911.03852): v'Hv of random signs v, by differentiating twice, of the loss on the text itself.

#include <map>
#include <vector>

#include "screen/slice_grid.h"
#include "vernier/data.h"
#include "vernier/model.h"

namespace vernier {

/// By matrix and probe, sum of v_i (Hv)_i over each cell of its grid; H of the mean -log p of a token.
using HessianProbes = std::map<TensorId, std::vector<std::vector<double>>>;

/// Probe i is drawn for window i, the windows in turn; of each the first `max_tokens` tokens.
/// @param matrices of which traces are wanted
/// @cost the model in float32 with three gradients of its size, and per probe about 6 forward passes
HessianProbes hessian_probes(const Model& model, const EvaluationData& data,
                             const std::map<TensorId, SliceGrid>& matrices, int probes, int64_t max_tokens,
                             uint64_t seed);

}  // namespace vernier
