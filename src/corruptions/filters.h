#pragma once

// Filters and samplers of pictures, each as the library that ImageNet-C's script calls defines it.

#include <vector>

#include "corruptions/picture.h"

namespace vernier {

/// What lies beyond the border.
enum class Border {
  kNearest,        ///< aaa|abcd|ddd
  kReflect,        ///< cba|abcd|dcb: SciPy's reflect
  kReflectWithout  ///< dcb|abcd|cba: OpenCV's reflect101
};
/// The index inside of 0 to size - 1 that stands for `index`.
int64_t inside(int64_t index, int64_t size, Border border);
/// Those for -reach ... size + reach - 1.
std::vector<int64_t> indices_around(int64_t size, int64_t reach, Border border);

/// scipy.ndimage.gaussian_filter of each channel: a radius of truncate * sigma, rounded.
Picture gaussian_filter(const Picture& picture, double sigma, double truncate, Border border);

/// A kernel of odd sides, multiplied and summed without being turned (OpenCV's filter2D). @shape kernel: [side, side]
Picture filter_2d(const Picture& picture, const std::vector<double>& kernel, int64_t side, Border border);

/// Of the four neighbours, at a place that may lie outside.
double sample_bilinear(const Picture& picture, double y, double x, int64_t channel, Border border);

}  // namespace vernier
