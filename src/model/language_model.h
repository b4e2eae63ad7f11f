#pragma once

#include <string>
#include <string_view>

#include "vernier/model_config.h"

namespace vernier {

/// For stages that measure on texts. @throws Error{kUnsupported} saying what can be done with other models
void require_language_model(const ModelConfig& config, const std::string& model_name, std::string_view stage);

}  // namespace vernier
