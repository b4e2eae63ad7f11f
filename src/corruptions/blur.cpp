#include <algorithm>
#include <cmath>
#include <numbers>

#include "corruptions/filters.h"
#include "corruptions/operators.h"

namespace vernier {

namespace {

/// A disk whose edge is smoothed by OpenCV's GaussianBlur. @param side receives the kernel's
std::vector<double> smooth_disk(double radius, double sigma, int64_t& side) {
  const bool small = radius <= 8;
  const auto reach = small ? int64_t{8} : static_cast<int64_t>(radius);
  side = 2 * reach + 1;
  Picture disk(side, side, 1);
  double total = 0;
  for (int64_t y = -reach; y <= reach; ++y)
    for (int64_t x = -reach; x <= reach; ++x)
      if (static_cast<double>(y * y + x * x) <= radius * radius) disk.at(y + reach, x + reach, 0) = 1, ++total;
  for (double& value : disk.values) value /= total;
  const int64_t smoothing = small ? 1 : 2;  // kernels of 3 and 5
  const double truncate = (static_cast<double>(smoothing) + 0.25) / sigma;
  return gaussian_filter(disk, sigma, truncate, Border::kReflectWithout).values;
}

/// The middle, enlarged by SciPy's zoom of order 1 so that it fills the picture.
void add_zoomed(const Picture& picture, double factor, Picture& sum) {
  const auto crop = [&](int64_t size) { return static_cast<int64_t>(std::ceil(static_cast<double>(size) / factor)); };
  struct Axis {
    int64_t first, trim;
    double step;
  };
  const auto axis = [&](int64_t size) {
    const int64_t taken = crop(size);
    const auto enlarged = static_cast<int64_t>(std::nearbyint(static_cast<double>(taken) * factor));
    return Axis{(size - taken) / 2, (enlarged - size) / 2,
                enlarged > 1 ? static_cast<double>(taken - 1) / static_cast<double>(enlarged - 1) : 0.0};
  };
  const Axis rows = axis(picture.height), columns = axis(picture.width);
  for (int64_t y = 0; y < picture.height; ++y)
    for (int64_t x = 0; x < picture.width; ++x)
      for (int64_t c = 0; c < picture.channels; ++c)
        sum.at(y, x, c) +=
            sample_bilinear(picture, static_cast<double>(rows.first) + static_cast<double>(y + rows.trim) * rows.step,
                            static_cast<double>(columns.first) + static_cast<double>(x + columns.trim) * columns.step,
                            c, Border::kNearest);
}

}  // namespace

Picture gaussian_blur(const Picture& picture, const CorruptionConstants& constants, Drawn&) {
  return gaussian_filter(picture, constants.a, 4, Border::kNearest);
}

Picture defocus_blur(const Picture& picture, const CorruptionConstants& constants, Drawn&) {
  int64_t side = 0;
  const std::vector<double> kernel = smooth_disk(constants.a, constants.b, side);
  return filter_2d(picture, kernel, side, Border::kReflectWithout);
}

Picture motion_blur(const Picture& picture, const CorruptionConstants& constants, Drawn& drawn) {
  // ImageMagick's MotionBlurImage: half a Gaussian from each pixel along a line, offsets rounded to whole pixels.
  const double angle = drawn.uniform(-45, 45) * std::numbers::pi / 180;
  const auto width = static_cast<int64_t>(2 * std::ceil(constants.a) + 1);
  std::vector<double> kernel;
  double total = 0;
  for (int64_t i = 0; i < width; ++i) {
    kernel.push_back(std::exp(-static_cast<double>(i * i) / (2 * constants.b * constants.b)));
    total += kernel.back();
  }
  const std::vector<int64_t> row = indices_around(picture.height, width, Border::kNearest);
  const std::vector<int64_t> column = indices_around(picture.width, width, Border::kNearest);
  Picture result(picture.width, picture.height, picture.channels);
  for (int64_t i = 0; i < width; ++i) {
    const auto dx = static_cast<int64_t>(std::ceil(static_cast<double>(i) * std::cos(angle) - 0.5));
    const auto dy = static_cast<int64_t>(std::ceil(static_cast<double>(i) * std::sin(angle) - 0.5));
    const double weight = kernel[static_cast<size_t>(i)] / total;
    for (int64_t y = 0; y < picture.height; ++y)
      for (int64_t x = 0; x < picture.width; ++x)
        for (int64_t c = 0; c < picture.channels; ++c)
          result.at(y, x, c) += weight * picture.at(row[static_cast<size_t>(y + dy + width)],
                                                    column[static_cast<size_t>(x + dx + width)], c);
  }
  return result;
}

Picture zoom_blur(const Picture& picture, const CorruptionConstants& constants, Drawn&) {
  // NumPy's arange(1, a, b), whose rounding may let the end in.
  const auto count = static_cast<int64_t>(std::ceil((constants.a - 1) / constants.b));
  Picture sum = picture;
  for (int64_t i = 0; i < count; ++i) add_zoomed(picture, 1 + static_cast<double>(i) * constants.b, sum);
  for (double& value : sum.values) value /= static_cast<double>(count + 1);
  return sum;
}

}  // namespace vernier
