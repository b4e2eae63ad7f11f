#pragma once

#include <string_view>

#include "vernier/model.h"

namespace vernier {

/// Logits are compared class by class: models that name them in another order answer something else. Names that say
/// nothing (none, or LABEL_0 ...) pass. `stage` begins the message. @throws Error{kInvalidArgument, kBadFile}
void require_same_classes(std::string_view stage, const Model& model, const Model& reference);

}  // namespace vernier
