#include <algorithm>
#include <array>
#include <cmath>

#include "corruptions/operators.h"

namespace vernier {

namespace {

using Colour = std::array<double, 3>;

/// Hue, saturation and value in [0, 1], as scikit-image's rgb2hsv has them.
Colour to_hsv(const Colour& rgb) {
  const double value = *std::max_element(rgb.begin(), rgb.end());
  const double range = value - *std::min_element(rgb.begin(), rgb.end());
  if (range == 0) return {0, 0, value};
  double hue = rgb[0] == value ? (rgb[1] - rgb[2]) / range : 0;
  if (rgb[1] == value) hue = 2 + (rgb[2] - rgb[0]) / range;
  if (rgb[2] == value) hue = 4 + (rgb[0] - rgb[1]) / range;
  hue /= 6;
  return {hue - std::floor(hue), range / value, value};
}

Colour to_rgb(const Colour& hsv) {
  const double sector = std::floor(hsv[0] * 6), f = hsv[0] * 6 - sector, v = hsv[2];
  const double p = v * (1 - hsv[1]), q = v * (1 - f * hsv[1]), t = v * (1 - (1 - f) * hsv[1]);
  const std::array<Colour, 6> sectors{Colour{v, t, p}, {q, v, p}, {p, v, t}, {p, q, v}, {t, p, v}, {v, p, q}};
  return sectors[static_cast<size_t>(sector) % 6];
}

template <class Change>
Picture changed_in_hsv(const Picture& picture, size_t channel, Change change) {
  Picture result = picture;
  for (size_t i = 0; i + 2 < result.values.size(); i += 3) {
    Colour hsv = to_hsv({result.values[i], result.values[i + 1], result.values[i + 2]});
    hsv[channel] = std::clamp(change(hsv[channel]), 0.0, 1.0);
    const Colour rgb = to_rgb(hsv);
    std::copy(rgb.begin(), rgb.end(), result.values.begin() + static_cast<int64_t>(i));
  }
  return result;
}

}  // namespace

Picture contrast(const Picture& picture, const CorruptionConstants& constants, Drawn&) {
  Picture result = picture;
  const double pixels = static_cast<double>(picture.width * picture.height);
  for (size_t c = 0; c < 3; ++c) {
    double mean = 0;
    for (size_t i = c; i < picture.values.size(); i += 3) mean += picture.values[i];
    mean /= pixels;
    for (size_t i = c; i < picture.values.size(); i += 3)
      result.values[i] = (picture.values[i] - mean) * constants.a + mean;
  }
  return result;
}

Picture brightness(const Picture& picture, const CorruptionConstants& constants, Drawn&) {
  return changed_in_hsv(picture, 2, [&](double value) { return value + constants.a; });
}

Picture saturate(const Picture& picture, const CorruptionConstants& constants, Drawn&) {
  return changed_in_hsv(picture, 1, [&](double saturation) { return saturation * constants.a + constants.b; });
}

}  // namespace vernier
