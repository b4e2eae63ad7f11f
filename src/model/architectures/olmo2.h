#pragma once

// What OLMo 2 and OLMo 3 have in common: RMS norms of what attention and the feed-forward add, none of what they read, and
// one over all heads of queries and one over all of keys.

#include <optional>
#include <string>
#include <vector>

#include "model/architecture.h"

namespace vernier {

void place_olmo2_norms(ModelConfig& config);
/// @param windows whether the family reads which layers have one
std::vector<ForeignKeys> olmo2_config_keys(bool windows);
/// What llama.cpp's code for both would get wrong.
std::optional<std::string> why_not_olmo2_gguf(const ModelConfig& config);

}  // namespace vernier
