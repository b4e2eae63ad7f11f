#pragma once

// Packed weights, one sequence per thread, no gradients: what measuring runs on without a GPU.

#include "engine/engine.h"

namespace vernier {

std::unique_ptr<Engine> make_fused_engine(int threads);

}  // namespace vernier
