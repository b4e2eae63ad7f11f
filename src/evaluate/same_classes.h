#pragma once

#include <string_view>

#include "vernier/model.h"

namespace vernier {

/// Logits are compared class by class: models that have a name at different places answer something else. Other names for
/// a class, and names that say nothing (none, or LABEL_0 ...), pass. `stage` begins the message. @throws Error{kInvalidArgument, kBadFile}
void require_same_classes(std::string_view stage, const Model& model, const Model& reference);

}  // namespace vernier
