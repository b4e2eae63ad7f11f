#pragma once

// A layer of all sequences: every sequence's gradients against the errors of the layer's matrices.

#include <ATen/core/Tensor.h>

#include <vector>

#include "screen/screen_pass.h"
#include "screen/streams.h"

namespace vernier {

/// Gradients are by what leaves the layer, by window (of the last: by the final normed states), and become those by what
/// enters it.
void add_layer(const ScreenPass& pass, int layer, const std::vector<at::Tensor>& streams,
               std::vector<at::Tensor>& gradients, const LayerTick& tick);

}  // namespace vernier
