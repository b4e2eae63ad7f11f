#pragma once

// Scores and tails in JSON, from the rows of metrics() and tail_rows().

#include <string>

#include "base/json.h"
#include "vernier/evaluate.h"

namespace vernier {

/// @throws Error{kBadFile} naming `origin` and the key
Scores scores_from_json(const Json& json, const std::string& origin);

void put_tails(Json& json, const Tails& tails);
/// Nothing where none are there. @throws Error{kBadFile} naming `origin` and the key
std::optional<Tails> tails_from_json(const Json& json, const std::string& origin);

}  // namespace vernier
