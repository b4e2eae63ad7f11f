#pragma once

// A slab as a tensor that shares its memory.

#include <ATen/ATen.h>

#include "ops/arena.h"

namespace vernier {

inline at::Tensor view(const Slab& s) { return at::from_blob(s.data, {s.rows, s.cols}, {s.ld, 1}, at::kFloat); }

}  // namespace vernier
