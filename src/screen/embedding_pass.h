#pragma once

// The beginning of the model: the gradient that arrives at the token embeddings, and what the output matrix, which may be
// the same, has to add.

#include <ATen/core/Tensor.h>

#include <vector>

#include "screen/output_pass.h"
#include "screen/screen_pass.h"

namespace vernier {

/// Adds the embedding and the output matrix, as far as they are screened.
/// @param finals Streams::finals(); gradients by what enters the first layer, by window [1, positions, hidden]
void add_embeddings(const ScreenPass& pass, const std::vector<at::Tensor>& finals, OutputGradients output,
                    const std::vector<at::Tensor>& gradients);

}  // namespace vernier
