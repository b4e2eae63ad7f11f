#pragma once

// What a diagnosis measures of the whole model at once: the noise of the arithmetic, and everything quantized together.

#include <cstdint>
#include <span>

#include "diagnose/quantized_weights.h"
#include "engine/sweep.h"

namespace vernier {

/// KL between the sweep's base and the same model in plain, differently ordered float32 arithmetic, on one window.
double noise_floor(const Model& model, Sweep& sweep, const EvaluationData& data);

/// The same of the first image.
double noise_floor(const Model& model, Sweep& sweep, const AnswerData& data);

/// KL of all matrices quantized at once. @cost memory: the model in float32
Measured joint_damage(const Model& model, const QuantizedWeights& quantized, Sweep& sweep,
                      std::span<const int64_t> clusters);

}  // namespace vernier
