// Fog is a height map of the diamond-square algorithm, laid over the picture.

#include <algorithm>

#include "corruptions/operators.h"

namespace vernier {

namespace {

/// A square whose sides are a power of two and wrap around; heights in [0, 1].
class Plasma {
 public:
  Plasma(int64_t side, double decay, Drawn& drawn)
      : side_(side), map_(static_cast<size_t>(side * side)), drawn_(drawn) {
    double wibble = 100;
    for (int64_t step = side; step >= 2; step /= 2, wibble /= decay) {
      fill_squares(step, wibble);
      fill_diamonds(step, wibble);
    }
    const auto [least, most] = std::minmax_element(map_.begin(), map_.end());
    const double low = *least, range = *most - low;
    for (double& height : map_) height = (height - low) / range;
  }
  double at(int64_t y, int64_t x) const { return map_[static_cast<size_t>(y * side_ + x)]; }

 private:
  double& cell(int64_t y, int64_t x) {
    return map_[static_cast<size_t>((y + side_) % side_ * side_ + (x + side_) % side_)];
  }
  double wibbled(double sum, double wibble) { return sum / 4 + wibble * drawn_.uniform(-wibble, wibble); }

  /// Middles of squares from their corners.
  void fill_squares(int64_t step, double wibble) {
    for (int64_t y = 0; y < side_; y += step)
      for (int64_t x = 0; x < side_; x += step)
        cell(y + step / 2, x + step / 2) =
            wibbled(cell(y, x) + cell(y + step, x) + cell(y, x + step) + cell(y + step, x + step), wibble);
  }

  /// Middles of their sides from the two corners and the two middles beside.
  void fill_diamonds(int64_t step, double wibble) {
    const int64_t half = step / 2;
    for (int64_t y = 0; y < side_; y += step)
      for (int64_t x = 0; x < side_; x += step)
        cell(y, x + half) =
            wibbled(cell(y, x) + cell(y, x + step) + cell(y + half, x + half) + cell(y - half, x + half), wibble);
    for (int64_t y = 0; y < side_; y += step)
      for (int64_t x = 0; x < side_; x += step)
        cell(y + half, x) =
            wibbled(cell(y, x) + cell(y + step, x) + cell(y + half, x + half) + cell(y + half, x - half), wibble);
  }

  int64_t side_;
  std::vector<double> map_;
  Drawn& drawn_;
};

}  // namespace

Picture fog(const Picture& picture, const CorruptionConstants& constants, Drawn& drawn) {
  int64_t side = 2;
  while (side < std::max(picture.width, picture.height)) side *= 2;
  const Plasma plasma(side, constants.b, drawn);
  const double brightest = *std::max_element(picture.values.begin(), picture.values.end());
  Picture result = picture;
  for (int64_t y = 0; y < picture.height; ++y)
    for (int64_t x = 0; x < picture.width; ++x)
      for (int64_t c = 0; c < picture.channels; ++c)
        result.at(y, x, c) =
            (picture.at(y, x, c) + constants.a * plasma.at(y, x)) * brightest / (brightest + constants.a);
  return result;
}

}  // namespace vernier
