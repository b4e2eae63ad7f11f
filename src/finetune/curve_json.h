#pragma once

// The curve of a run, back from a checkpoint.

#include <string>

#include "base/json.h"
#include "vernier/finetune.h"

namespace vernier {

/// @throws Error{kBadFile} naming `origin` and the key
FinetuneCurve finetune_curve_from_json(const Json& json, const std::string& origin);

}  // namespace vernier
