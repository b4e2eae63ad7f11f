#pragma once

// A folder that is said to be a model: its config.json, and a clear word where it holds something else, such as weights
// that were quantized before.

#include <filesystem>
#include <vector>

#include "base/json.h"
#include "format/safetensors_file.h"

namespace vernier {

/// The object in config.json. @throws Error{kBadFile} when it is missing, empty or no JSON object, each with the way
/// out; for a folder that is no Hugging Face model as refuse_folder_without_weights
Json read_model_config(const std::filesystem::path& folder);

/// @throws Error{kUnsupported} where config.json or a quantizer's own file says that the weights are quantized already;
/// names the original model where the folder does
void refuse_quantized_config(const std::filesystem::path& folder, const Json& config);

/// The same by names and types of the tensors, for folders that do not say it.
void refuse_quantized_tensors(const std::filesystem::path& folder, const Json& config,
                              const std::vector<const SafetensorsEntry*>& entries);

}  // namespace vernier
