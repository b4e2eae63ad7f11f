#pragma once

// From `config.json` of a Hugging Face directory to a ModelConfig: one mapping per family, as transformers 5 reads it.

#include <string>

#include "base/json.h"
#include "vernier/model.h"

namespace vernier {

/// `origin` names the file in messages.
/// @throws Error{kBadFile} for missing, absurd and contradictory values, {kUnsupported} for other families and
/// activations, and for whatever else changes the mathematics and is not known here
ModelConfig parse_config(const Json& json, const std::string& origin);

/// "model.layers.3.mlp.down_proj.weight": the name the supported families share.
std::string hugging_face_name(const TensorId& id);

/// `fallback` where the key is absent or null. @throws Error{kBadFile} naming file and key for another type
bool flag_or(const Json& json, const char* key, bool fallback, const std::string& origin);
double number_or(const Json& json, const char* key, double fallback, const std::string& origin);

/// The value itself. @throws Error{kBadFile} naming file and key unless it is finite and above 0
double positive(double value, const std::string& key, const std::string& origin);

/// Bounds every configuration must keep, whatever file it came from. @throws Error{kBadFile}
void check_config(const ModelConfig& config, const std::string& origin);

}  // namespace vernier
