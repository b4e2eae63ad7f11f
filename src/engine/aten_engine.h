#pragma once

// Plain ATen on any device: the reference of the fused engine on a CPU, and what measuring runs on with a GPU.

#include "engine/aten_model.h"
#include "engine/engine.h"

namespace vernier {

std::unique_ptr<Engine> make_aten_engine(at::Device device);
std::unique_ptr<Sweep> make_aten_sweep(const Model& model, const EvaluationData& data, at::Device device,
                                       at::ScalarType type);
std::unique_ptr<AnswerSweep> make_aten_answer_sweep(const Model& model, const VisionInputs& data, at::Device device,
                                                    at::ScalarType type);

}  // namespace vernier
