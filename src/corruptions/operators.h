#pragma once

// The operators of ImageNet-C on pictures in [0, 1]. Results are not clipped; `corrupt` does that.

#include "corruptions/drawn.h"
#include "corruptions/picture.h"
#include "vernier/corruptions.h"

namespace vernier {

using PictureOperator = Picture (*)(const Picture& picture, const CorruptionConstants& constants, Drawn& drawn);

// noise.cpp
Picture gaussian_noise(const Picture& picture, const CorruptionConstants& constants, Drawn& drawn);
Picture shot_noise(const Picture& picture, const CorruptionConstants& constants, Drawn& drawn);
Picture impulse_noise(const Picture& picture, const CorruptionConstants& constants, Drawn& drawn);
Picture speckle_noise(const Picture& picture, const CorruptionConstants& constants, Drawn& drawn);
// blur.cpp
Picture gaussian_blur(const Picture& picture, const CorruptionConstants& constants, Drawn& drawn);
Picture defocus_blur(const Picture& picture, const CorruptionConstants& constants, Drawn& drawn);
Picture motion_blur(const Picture& picture, const CorruptionConstants& constants, Drawn& drawn);
Picture zoom_blur(const Picture& picture, const CorruptionConstants& constants, Drawn& drawn);
// colour.cpp
Picture contrast(const Picture& picture, const CorruptionConstants& constants, Drawn& drawn);
Picture brightness(const Picture& picture, const CorruptionConstants& constants, Drawn& drawn);
Picture saturate(const Picture& picture, const CorruptionConstants& constants, Drawn& drawn);
// fog.cpp
Picture fog(const Picture& picture, const CorruptionConstants& constants, Drawn& drawn);
// elastic.cpp
Picture elastic(const Picture& picture, const CorruptionConstants& constants, Drawn& drawn);
// occlusion.cpp
Picture occlusion(const Picture& picture, const CorruptionConstants& constants, Drawn& drawn);

/// Every pixel from where `row` and `column` say, [height, width] each. SciPy's map_coordinates, linear, reflecting.
Picture displaced(const Picture& picture, const std::vector<double>& row, const std::vector<double>& column);

}  // namespace vernier
