#pragma once

// A GGUF file that llama.cpp loads as it is: tensors in their schemes, tokenizer, chat template, and the recipe with a
// reason per tensor in `vernier.*` metadata.
// In: a QuantizedModel and the tokenizer. Out: model.gguf.
//
//   export_gguf(quantize(model, calibration, plan, threads), tokenizer_model, "model.gguf", {});

#include <filesystem>
#include <string>

#include "vernier/plan.h"
#include "vernier/progress.h"
#include "vernier/quantize.h"
#include "vernier/tokenizer.h"

namespace vernier {

struct ExportOptions {
  std::string tokenizer_pre;             ///< tokenizer.ggml.pre; "" derives it from the pre-tokenizer's expressions
  bool tokenizer_pre_unchecked = false;  ///< write tokenizer_pre whatever the tokenizer does (check_gguf_pre_name)
};

/// Exact size of the file that export_gguf writes, before anything is quantized.
/// @throws Error{kUnsupported} when llama.cpp has no name for the pre-tokenizer (--tokenizer-pre sets it) or its code
///         for this architecture has no place for something the model needs; Error{kInvalidArgument} when
///         tokenizer_pre is unknown or cuts unlike the tokenizer
uint64_t gguf_file_bytes(const Model& model, const Plan& plan, const TokenizerModel& tokenizer,
                         const ExportOptions& options = {});

/// Content hash of all of that file but what the weights decide: tokenizer, hyperparameters, recipe.
/// @throws as gguf_file_bytes
std::string gguf_header_hash(const Model& model, const Plan& plan, const TokenizerModel& tokenizer,
                             const ExportOptions& options = {});

/// The longest text, in tokens, for which the file answers as the model does: the context length, cut to the shortest
/// sliding window.
int64_t gguf_context_length(const ModelConfig& config);

/// Whole or not at all. Query and key rows of llama models are reordered to llama.cpp's interleaved rotary layout,
/// norms and biases stay float32. A sliding window, which llama.cpp ignores for these models, cuts context_length to
/// the window with a warning; another one tells of each of gguf_tokenizer_losses(). What a GGUF source says about its
/// origin (name, licence, authors) is carried over.
/// @throws Error{kUnsupported, kIo, kInvalidArgument}
void export_gguf(const QuantizedModel& quantized, const TokenizerModel& tokenizer, const std::filesystem::path& path,
                 const ExportOptions& options = {}, ProgressSink* progress = nullptr);

}  // namespace vernier
