#pragma once

// The two kinds of files a model comes from.

#include <ATen/core/Tensor.h>

#include <filesystem>

#include "vernier/model.h"

namespace vernier {

/// A folder with config.json and safetensors; tensors are views of the mapped files.
Model load_hugging_face(const std::filesystem::path& folder);

/// A GGUF file of llama, qwen2 or qwen3: every tensor is a view of the file, quantized matrices in their bytes. Query and key
/// rows of llama files come back in Hugging Face's order.
Model load_gguf(const std::filesystem::path& file);

/// By what llama.cpp scales queries and keys of a YaRN model before attn_factor, which files store relative to it.
double llama_cpp_yarn_magnitude(double factor);

/// llama.cpp's llama architecture rotates neighbouring dimensions, Hugging Face the two halves of a head: rows (or bias
/// entries) of q and k are reordered within each head on the way out, and back.
/// @shape weight [heads * head_dim, in] or [heads * head_dim]
at::Tensor to_interleaved_rope(const at::Tensor& weight, int64_t heads);
at::Tensor from_interleaved_rope(const at::Tensor& weight, int64_t heads);

}  // namespace vernier
