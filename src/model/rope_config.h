#pragma once

// Rotary embedding as config.json describes it: in rope_parameters, or in rope_scaling with rope_theta beside it, or in
// both. What two places say must agree, and a key that is not known for its type is refused.

#include <string>

#include "base/json.h"
#include "vernier/model_config.h"

namespace vernier {

/// `context_length` stands in where a file does not say which context was trained, `theta` where it names none.
/// @throws Error{kBadFile} for missing, absurd and contradictory values, {kUnsupported} for types and keys not known
RopeConfig parse_rope(const Json& config, int64_t context_length, const std::string& origin, double theta = 10000);

}  // namespace vernier
