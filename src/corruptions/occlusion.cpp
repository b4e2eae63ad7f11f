#include <algorithm>
#include <cmath>

#include "corruptions/operators.h"

namespace vernier {

Picture occlusion(const Picture& picture, const CorruptionConstants& constants, Drawn& drawn) {
  const auto shorter = static_cast<double>(std::min(picture.width, picture.height));
  const auto side = static_cast<int64_t>(std::lround(constants.a * shorter));
  const int64_t top = drawn.below(picture.height - side + 1), left = drawn.below(picture.width - side + 1);
  Picture result = picture;
  for (int64_t y = top; y < top + side; ++y)
    for (int64_t x = left; x < left + side; ++x)
      for (int64_t c = 0; c < picture.channels; ++c) result.at(y, x, c) = 0.5;
  return result;
}

}  // namespace vernier
