#pragma once

// The parts of diagnosis.json that checkpoints store one by one.

#include <string>

#include "base/json.h"
#include "vernier/diagnose.h"

namespace vernier {

Json damage_to_json(const ComponentDamage& damage);
ComponentDamage damage_from_json(const Json& json, const std::string& origin);
Json facts_to_json(const WeightFacts& facts);
WeightFacts facts_from_json(const Json& json, const std::string& origin);

}  // namespace vernier
