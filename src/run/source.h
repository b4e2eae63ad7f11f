#pragma once

// The model that a run starts from, as its files hold it: what everything is compared with, and what may be the answer
// itself where it is small enough.

#include <cstdint>
#include <string>

#include "vernier/model.h"
#include "vernier/progress.h"
#include "vernier/target.h"

namespace vernier {

/// What files are compared with: "full precision", or "source (Q4_1)" for a model that is quantized already, after the
/// scheme that most of its bytes are in.
std::string source_label(const Model& model);

/// As files hold it: the GGUF file with its other parts, or the tensors of a Hugging Face directory.
uint64_t source_bytes(const Model& model);

/// Where the model is what the target loads and fits as it is, nothing made from it can be better.
bool source_fits(const Model& model, const Target& target, uint64_t budget_bytes);

/// What a source that is quantized already means for the figures, and for the choice.
void warn_of_source(const Model& model, const Target& target, uint64_t budget_bytes, ProgressSink& progress);

}  // namespace vernier
