#pragma once

// From what a file says to a ModelConfig, whatever the family: its row of the table reads, and what it does not read is
// refused where it would change the answers.

#include <string>

#include "base/json.h"
#include "vernier/model_config.h"

namespace vernier {

class GgufFile;

/// config.json as transformers 5 reads it; `origin` names the file in messages.
/// @throws Error{kBadFile} for missing, absurd and contradictory values, {kUnsupported} for other families and
/// activations, and for whatever else changes the mathematics and is not known here
ModelConfig parse_config(const Json& json, const std::string& origin);

/// A GGUF file's metadata as llama.cpp reads it. @throws as parse_config
ModelConfig read_gguf_config(const GgufFile& file);

/// Bounds every configuration must keep, whatever file it came from. @throws Error{kBadFile}
void check_config(const ModelConfig& config, const std::string& origin);

}  // namespace vernier
