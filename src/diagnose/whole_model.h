#pragma once

// What a diagnosis measures of the whole model at once: the noise of the arithmetic, and everything quantized together.

#include "diagnose/quantized_weights.h"
#include "engine/engine.h"

namespace vernier {

/// KL between the sweep's base and the same model in plain, differently ordered float32 arithmetic, on one window.
double noise_floor(const Model& model, Sweep& sweep, const EvaluationData& data);

/// KL of all matrices quantized at once. @cost memory: the model in float32
Measured joint_damage(const Model& model, const QuantizedWeights& quantized, Sweep& sweep, const EvaluationData& data);

}  // namespace vernier
