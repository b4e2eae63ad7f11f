#pragma once

// The two kinds of files a model comes from.

#include <filesystem>

#include "vernier/blueprint.h"
#include "vernier/model_outline.h"

namespace vernier {

/// A folder with config.json and safetensors.
ModelOutline outline_hugging_face(const std::filesystem::path& folder);

/// A GGUF file.
ModelOutline outline_gguf(const std::filesystem::path& file);

/// The bytes of one tensor within those of the stored one. Where it is transposed, from its first value to its last:
/// what other parts of a fused tensor hold lies between.
std::span<const std::byte> part_of(const TensorSpec& spec, const FileTensor& place, const Scheme& scheme,
                                   std::span<const std::byte> stored);

}  // namespace vernier
