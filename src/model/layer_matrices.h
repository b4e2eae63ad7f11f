#pragma once

// The matrices of a layer, in the order in which they are measured.

#include "vernier/component.h"

namespace vernier {

inline constexpr TensorRole kLayerMatrices[] = {TensorRole::kAttnQ,      TensorRole::kAttnK,   TensorRole::kAttnV,
                                                TensorRole::kAttnOutput, TensorRole::kFfnGate, TensorRole::kFfnUp,
                                                TensorRole::kFfnDown};

}  // namespace vernier
