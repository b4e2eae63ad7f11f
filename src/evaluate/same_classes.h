#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "vernier/model.h"

namespace vernier {

/// What config.json calls the classes; nothing where it only numbers them (LABEL_0 ...), as transformers does for who names none.
/// @throws Error{kBadFile}
std::vector<std::string> telling_class_names(const Model& model);

/// Logits are compared class by class: models that have a name at different places answer something else. Other names for
/// a class, and names that say nothing (none, or LABEL_0 ...), pass. `stage` begins the message. @throws Error{kInvalidArgument, kBadFile}
void require_same_classes(std::string_view stage, const Model& model, const Model& reference);

}  // namespace vernier
