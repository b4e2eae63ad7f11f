// Pillow 13's libImaging/Resample.c and, for the nearest pixel, Geometry.c.

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "base/fail.h"
#include "images/image_header.h"
#include "vernier/images.h"

namespace vernier {

namespace {

constexpr int kPrecisionBits = 32 - 8 - 2;  // filters have negative parts: two bits for overflow and sign
constexpr int64_t kLongestResized = 65'535;

struct Kernel {
  double (*weight)(double);
  double support;
};

double box(double x) { return x > -0.5 && x <= 0.5 ? 1 : 0; }

double bilinear(double x) { return std::max(0.0, 1 - std::abs(x)); }

double hamming(double x) {
  x = std::abs(x);
  if (x == 0) return 1;
  if (x >= 1) return 0;
  x *= std::numbers::pi;
  return std::sin(x) / x * (0.54F + 0.46F * std::cos(x));
}

double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

double sinc(double x) {
  if (x == 0) return 1;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

double lanczos(double x) { return -3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0; }

Kernel kernel_of(ResizeFilter filter) {
  switch (filter) {
    case ResizeFilter::kLanczos: return {lanczos, 3};
    case ResizeFilter::kBicubic: return {bicubic, 2};
    case ResizeFilter::kBox: return {box, 0.5};
    case ResizeFilter::kHamming: return {hamming, 1};
    case ResizeFilter::kBilinear:
    case ResizeFilter::kNearest: break;
  }
  return {bilinear, 1};
}

/// What one output pixel is made of: inputs first, first + 1, ...
struct Tap {
  int64_t first = 0;
  std::vector<int32_t> weights;  // 2^22 is 1
};

std::vector<Tap> taps(int64_t from, int64_t to, const Kernel& kernel) {
  const double scale = static_cast<double>(from) / static_cast<double>(to), stretch = std::max(scale, 1.0);
  const double support = kernel.support * stretch, inverse = 1 / stretch;
  std::vector<Tap> result(static_cast<size_t>(to));
  std::vector<double> weights;
  for (int64_t out = 0; out < to; ++out) {
    const double center = (static_cast<double>(out) + 0.5) * scale;
    const auto first = std::max<int64_t>(static_cast<int64_t>(center - support + 0.5), 0);
    const auto end = std::min(static_cast<int64_t>(center + support + 0.5), from);
    weights.clear();
    double total = 0;
    for (int64_t i = 0; i < end - first; ++i) {
      weights.push_back(kernel.weight((static_cast<double>(i + first) - center + 0.5) * inverse));
      total += weights.back();
    }
    Tap& tap = result[static_cast<size_t>(out)];
    tap.first = first;
    for (double weight : weights) {
      if (total != 0) weight /= total;
      tap.weights.push_back(static_cast<int32_t>((weight < 0 ? -0.5 : 0.5) + weight * (1 << kPrecisionBits)));
    }
  }
  return result;
}

/// @param step between the values of one channel along the tap
uint8_t weighted(const uint8_t* values, int64_t step, const Tap& tap) {
  int32_t sum = 1 << (kPrecisionBits - 1);
  for (size_t i = 0; i < tap.weights.size(); ++i) sum += values[static_cast<int64_t>(i) * step] * tap.weights[i];
  return static_cast<uint8_t>(std::clamp(sum >> kPrecisionBits, 0, 255));
}

Image resize_rows(const Image& image, int64_t width, const Kernel& kernel) {
  const std::vector<Tap> columns = taps(image.width, width, kernel);
  Image result{width, image.height, std::vector<uint8_t>(static_cast<size_t>(width * image.height * 3))};
  for (int64_t y = 0; y < image.height; ++y)
    for (int64_t x = 0; x < width; ++x) {
      const Tap& tap = columns[static_cast<size_t>(x)];
      for (int64_t c = 0; c < 3; ++c)
        result.rgb[static_cast<size_t>((y * width + x) * 3 + c)] =
            weighted(image.rgb.data() + (y * image.width + tap.first) * 3 + c, 3, tap);
    }
  return result;
}

Image resize_columns(const Image& image, int64_t height, const Kernel& kernel) {
  const std::vector<Tap> rows = taps(image.height, height, kernel);
  const int64_t row = image.width * 3;
  Image result{image.width, height, std::vector<uint8_t>(static_cast<size_t>(row * height))};
  for (int64_t y = 0; y < height; ++y) {
    const Tap& tap = rows[static_cast<size_t>(y)];
    for (int64_t x = 0; x < row; ++x)
      result.rgb[static_cast<size_t>(y * row + x)] = weighted(image.rgb.data() + tap.first * row + x, row, tap);
  }
  return result;
}

Image nearest(const Image& image, int64_t width, int64_t height) {
  Image result{width, height, std::vector<uint8_t>(static_cast<size_t>(width * height * 3))};
  const auto source = [](int64_t out, int64_t from, int64_t to) {
    return std::min(
        static_cast<int64_t>((static_cast<double>(out) + 0.5) * static_cast<double>(from) / static_cast<double>(to)),
        from - 1);
  };
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      std::copy_n(
          image.rgb.begin() + (source(y, image.height, height) * image.width + source(x, image.width, width)) * 3, 3,
          result.rgb.begin() + (y * width + x) * 3);
  return result;
}

}  // namespace

Image resize_image(const Image& image, int64_t width, int64_t height, ResizeFilter filter) {
  for (const int64_t side : {image.width, image.height, width, height})
    if (side < 1 || side > kLongestResized)
      fail(ErrorKind::kInvalidArgument, "images: {} x {} to {} x {} pixels: expected sides of 1 to {}", image.width,
           image.height, width, height, kLongestResized);
  // Between the two passes it is as wide as the one and as high as the other.
  for (const auto& [across, down] : {std::pair{width, height}, {width, image.height}, {image.width, height}})
    if (across > kMostPixels / down)
      fail(ErrorKind::kInvalidArgument, "images: {} x {} to {} x {} pixels: expected at most {} on the way",
           image.width, image.height, width, height, kMostPixels);
  if (image.rgb.size() != static_cast<size_t>(image.width * image.height * 3))
    fail(ErrorKind::kInvalidArgument, "images: {} bytes, expected {} x {} pixels of 3", image.rgb.size(), image.width,
         image.height);
  if (filter == ResizeFilter::kNearest) return nearest(image, width, height);
  const Kernel kernel = kernel_of(filter);
  const auto rows = [&](const Image& of) { return width == of.width ? of : resize_rows(of, width, kernel); };
  const auto columns = [&](const Image& of) { return height == of.height ? of : resize_columns(of, height, kernel); };
  // Since Pillow 13, whose order of the two passes decides what is rounded first.
  const int64_t lower = image.height - height, narrower = image.width - width;
  return lower > 0 && lower > 2 * narrower ? rows(columns(image)) : columns(rows(image));
}

}  // namespace vernier
