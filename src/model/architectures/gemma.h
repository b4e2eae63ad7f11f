#pragma once

// What Gemma 2 and Gemma 3 have in common: RMS norms of what attention and the feed-forward read and of what they add, whose
// weights Hugging Face stores less 1; embeddings times sqrt(hidden); a gate by GELU; a window in most layers.

#include <optional>
#include <string>
#include <vector>

#include "model/architectures/decoder.h"

namespace vernier {

struct GemmaRules {
  std::string_view name;        ///< as llama.cpp calls it
  int64_t full_every = 0;       ///< every so manieth layer sees everything, those between have a window
  int64_t depth_otherwise = 0;  ///< of the 27B model, whose scores llama.cpp knows by its depth to be scaled otherwise
  DecoderDefaults defaults = {};
};

/// From config.json, with a decoder's rotation as `json` says it, which may be another object than the file's.
/// @throws Error{kBadFile, kUnsupported}
ModelConfig read_gemma(const ConfigFile& file, const Json& json, const GemmaRules& rules);
/// From GGUF metadata, without windows. @throws Error{kBadFile, kUnsupported}
ModelConfig read_gemma_gguf(const GgufFile& file, const GemmaRules& rules);
/// What llama.cpp's code for it would get wrong.
std::optional<std::string> why_not_gemma_gguf(const ModelConfig& config, const GemmaRules& rules);

/// As Hugging Face names the norms.
std::vector<TensorName> gemma_norm_names();

}  // namespace vernier
