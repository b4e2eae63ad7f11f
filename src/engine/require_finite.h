#pragma once

#include "vernier/model.h"

namespace vernier {

/// Every value, before a model is run and once: kernels assume numbers and would turn a broken model into a harmless one.
/// @throws Error{kBadFile} naming tensor, row and column
void require_finite(const Model& model);

}  // namespace vernier
