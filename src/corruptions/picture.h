#pragma once

// An image as operators see it: float64 in [0, 1] before and after, anything in between.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "vernier/images.h"

namespace vernier {

struct Picture {
  int64_t width = 0, height = 0, channels = 3;
  std::vector<double> values;  ///< [height, width, channels]

  Picture(int64_t w, int64_t h, int64_t c = 3)
      : width(w), height(h), channels(c), values(static_cast<size_t>(w * h * c)) {}
  double& at(int64_t y, int64_t x, int64_t c) { return values[static_cast<size_t>((y * width + x) * channels + c)]; }
  double at(int64_t y, int64_t x, int64_t c) const {
    return values[static_cast<size_t>((y * width + x) * channels + c)];
  }
};

inline Picture picture_of(const Image& image) {
  Picture picture(image.width, image.height);
  for (size_t i = 0; i < image.rgb.size(); ++i) picture.values[i] = image.rgb[i] / 255.0;
  return picture;
}

}  // namespace vernier
