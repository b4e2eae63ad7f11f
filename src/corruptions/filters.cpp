#include "corruptions/filters.h"

#include <algorithm>
#include <cmath>

namespace vernier {

int64_t inside(int64_t index, int64_t size, Border border) {
  if (border == Border::kNearest || size == 1) return std::clamp<int64_t>(index, 0, size - 1);
  const int64_t period = border == Border::kReflect ? 2 * size : 2 * size - 2;
  const int64_t folded = ((index % period) + period) % period;
  if (folded < size) return folded;
  return border == Border::kReflect ? period - 1 - folded : period - folded;
}

std::vector<int64_t> indices_around(int64_t size, int64_t reach, Border border) {
  std::vector<int64_t> indices;
  for (int64_t i = -reach; i < size + reach; ++i) indices.push_back(inside(i, size, border));
  return indices;
}

Picture gaussian_filter(const Picture& picture, double sigma, double truncate, Border border) {
  const auto radius = static_cast<int64_t>(truncate * sigma + 0.5);
  if (radius == 0) return picture;
  std::vector<double> kernel;
  double total = 0;
  for (int64_t i = -radius; i <= radius; ++i) {
    kernel.push_back(std::exp(-0.5 * static_cast<double>(i * i) / (sigma * sigma)));
    total += kernel.back();
  }
  for (double& weight : kernel) weight /= total;
  const std::vector<int64_t> row = indices_around(picture.height, radius, border);
  const std::vector<int64_t> column = indices_around(picture.width, radius, border);
  Picture rows(picture.width, picture.height, picture.channels), result = rows;
  for (int64_t y = 0; y < picture.height; ++y)
    for (size_t i = 0; i < kernel.size(); ++i)
      for (int64_t x = 0; x < picture.width; ++x)
        for (int64_t c = 0; c < picture.channels; ++c)
          rows.at(y, x, c) += kernel[i] * picture.at(row[static_cast<size_t>(y) + i], x, c);
  for (int64_t y = 0; y < picture.height; ++y)
    for (int64_t x = 0; x < picture.width; ++x)
      for (size_t i = 0; i < kernel.size(); ++i)
        for (int64_t c = 0; c < picture.channels; ++c)
          result.at(y, x, c) += kernel[i] * rows.at(y, column[static_cast<size_t>(x) + i], c);
  return result;
}

Picture filter_2d(const Picture& picture, const std::vector<double>& kernel, int64_t side, Border border) {
  const std::vector<int64_t> row = indices_around(picture.height, side / 2, border);
  const std::vector<int64_t> column = indices_around(picture.width, side / 2, border);
  Picture result(picture.width, picture.height, picture.channels);
  for (int64_t dy = 0; dy < side; ++dy)
    for (int64_t dx = 0; dx < side; ++dx) {
      const double weight = kernel[static_cast<size_t>(dy * side + dx)];
      if (weight == 0) continue;
      for (int64_t y = 0; y < picture.height; ++y)
        for (int64_t x = 0; x < picture.width; ++x)
          for (int64_t c = 0; c < picture.channels; ++c)
            result.at(y, x, c) +=
                weight * picture.at(row[static_cast<size_t>(y + dy)], column[static_cast<size_t>(x + dx)], c);
    }
  return result;
}

double sample_bilinear(const Picture& picture, double y, double x, int64_t channel, Border border) {
  const double top = std::floor(y), left = std::floor(x), down = y - top, right = x - left;
  const auto value = [&](int64_t dy, int64_t dx) {
    return picture.at(inside(static_cast<int64_t>(top) + dy, picture.height, border),
                      inside(static_cast<int64_t>(left) + dx, picture.width, border), channel);
  };
  return (1 - down) * ((1 - right) * value(0, 0) + right * value(0, 1)) +
         down * ((1 - right) * value(1, 0) + right * value(1, 1));
}

}  // namespace vernier
