#pragma once

// The two kinds of files a model comes from.

#include <filesystem>

#include "vernier/model_outline.h"

namespace vernier {

/// A folder with config.json and safetensors.
ModelOutline outline_hugging_face(const std::filesystem::path& folder);

/// A GGUF file of llama, qwen2 or qwen3.
ModelOutline outline_gguf(const std::filesystem::path& file);

/// By what llama.cpp scales queries and keys of a YaRN model before attn_factor, which files store relative to it.
double llama_cpp_yarn_magnitude(double factor);

}  // namespace vernier
