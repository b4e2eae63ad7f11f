#pragma once

// What ties figures to the tokens that they were measured on.

#include <string>

#include "vernier/data.h"

namespace vernier {

/// Of the tokens of all windows, from where each is scored, and its group.
std::string hash_windows(const EvaluationData& data);

}  // namespace vernier
