#pragma once

// Measured numbers in JSON: the mean under its key and the standard error, or null, under the key with "_stderr" behind.

#include <optional>
#include <string>

#include "base/json.h"
#include "vernier/measured.h"

namespace vernier {

void put_measured(Json& json, const std::string& key, const Measured& value);

/// @throws Error{kBadFile} naming `origin` and the key when the mean is missing or either is not a number
Measured measured_at(const Json& json, const std::string& key, const std::string& origin);
/// Nothing where the mean is absent or null.
std::optional<Measured> optional_measured_at(const Json& json, const std::string& key, const std::string& origin);

}  // namespace vernier
