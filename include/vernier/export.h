#pragma once

// What a target loads, written: a GGUF file for llama.cpp, a directory of values for Hugging Face's programs.
// In: a QuantizedModel and the tokenizer. Out: model.gguf or model/.
//
//   export_model(find_target("llama.cpp"), quantize(model, calibration, plan, threads), tokenizer_model, "model.gguf");

#include <filesystem>

#include "vernier/plan.h"
#include "vernier/progress.h"
#include "vernier/quantize.h"
#include "vernier/target.h"
#include "vernier/tokenizer.h"

namespace vernier {

/// Writes to `path`, a file or a folder as Target::files says, one matrix in memory at a time, and looks whether our own
/// reader finds in it what the plan says. Target::losses are warnings.
/// @throws Error{kUnsupported, kIo, kInvalidArgument} as Target::write; {kInternal} when the reader finds something else
void export_model(const Target& target, const QuantizedModel& quantized, const TokenizerModel& tokenizer,
                  const std::filesystem::path& path, const ExportOptions& options = {},
                  ProgressSink* progress = nullptr);

}  // namespace vernier
