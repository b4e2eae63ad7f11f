#pragma once

// The parts of diagnosis.json that checkpoints store one by one.

#include <string>

#include "base/json.h"
#include "vernier/diagnose.h"

namespace vernier {

/// The array under `key`. @throws Error{kBadFile} naming `origin` and the key
const Json& array_at(const Json& json, const char* key, const std::string& origin);
/// Under "name". @throws Error{kBadFile} naming `origin`
Component component_at(const Json& json, const std::string& origin);
Json damage_to_json(const ComponentDamage& damage);
ComponentDamage damage_from_json(const Json& json, const std::string& origin);
Json facts_to_json(const WeightFacts& facts);
WeightFacts facts_from_json(const Json& json, const std::string& origin);

}  // namespace vernier
