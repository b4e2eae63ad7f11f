#pragma once

// What the steps of a block are made of, where a format stores products: one number for the whole block times a small
// integer of each segment's own. What a search over scales, or training, may change and store again.
//
//   scale = d * unit * integer,  offset = -(dmin * integer)   the integers of scale and offset are two

#include <array>

#include "scheme/grid.h"

namespace vernier {

/// As stored: numbers are exactly representable in fp16.
struct StepParts {
  static constexpr int kMostSegments = 16;
  float d = 0, dmin = 0;
  std::array<int, kMostSegments> scale{}, min{};
};

/// The integers that a format can store; a single one is not stored.
struct IntegerRange {
  int lowest = 1, highest = 1, stride = 1;
  bool is_fixed() const { return lowest == highest; }
};

struct StepPartsShape {
  IntegerRange scale{};
  float unit = 1.0f;  ///< a power of two
  bool has_min = false;
  IntegerRange min{};
};

/// Of a unit of 1, in these operations and no others. @shape steps [segments], with the defaults of Step
inline void steps_of(const StepParts& parts, bool has_min, int segments, Step* steps) {
  for (int j = 0; j < segments; ++j) {
    const auto at = static_cast<size_t>(j);
    steps[j].scale = parts.d * static_cast<float>(parts.scale[at]);
    if (has_min) steps[j].offset = -(parts.dmin * static_cast<float>(parts.min[at]));
  }
}

}  // namespace vernier
