#pragma once

// From `config.json` of a Hugging Face directory to a ModelConfig: one mapping per family, old spelling (`rope_theta`,
// `rope_scaling`) and new (`rope_parameters`).

#include <string>

#include "base/json.h"
#include "vernier/model.h"

namespace vernier {

/// `origin` names the file in messages.
/// @throws Error{kBadFile} for missing or absurd values, {kUnsupported} for other families and activations
ModelConfig parse_config(const Json& json, const std::string& origin);

/// "model.layers.3.mlp.down_proj.weight": the name the supported families share.
std::string hugging_face_name(const TensorId& id);

/// The value itself. @throws Error{kBadFile} naming file and key unless it is finite and above 0
double positive(double value, const std::string& key, const std::string& origin);

/// Bounds every configuration must keep, whatever file it came from. @throws Error{kBadFile}
void check_config(const ModelConfig& config, const std::string& origin);

}  // namespace vernier
