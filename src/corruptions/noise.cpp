#include <algorithm>

#include "corruptions/operators.h"

namespace vernier {

Picture gaussian_noise(const Picture& picture, const CorruptionConstants& constants, Drawn& drawn) {
  Picture result = picture;
  for (double& value : result.values) value += constants.a * drawn.normal();
  return result;
}

Picture shot_noise(const Picture& picture, const CorruptionConstants& constants, Drawn& drawn) {
  Picture result = picture;
  for (double& value : result.values) value = drawn.poisson(value * constants.a) / constants.a;
  return result;
}

Picture impulse_noise(const Picture& picture, const CorruptionConstants& constants, Drawn& drawn) {
  Picture result = picture;
  for (double& value : result.values)
    if (drawn.uniform() < constants.a) value = drawn.uniform() < 0.5 ? 1 : 0;
  return result;
}

Picture speckle_noise(const Picture& picture, const CorruptionConstants& constants, Drawn& drawn) {
  Picture result = picture;
  for (double& value : result.values) value += value * constants.a * drawn.normal();
  return result;
}

}  // namespace vernier
