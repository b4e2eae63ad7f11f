// Three points are moved at random, with the picture fixed to them; then every pixel by a smooth random field.

#include <algorithm>
#include <array>

#include "corruptions/filters.h"
#include "corruptions/operators.h"

namespace vernier {

namespace {

struct Point {
  double x, y;
};

/// The affine map with from[i] -> to[i], as rows (a, b, c) of a x + b y + c.
std::array<std::array<double, 3>, 2> affine_map(const std::array<Point, 3>& from, const std::array<Point, 3>& to) {
  const double x1 = from[1].x - from[0].x, y1 = from[1].y - from[0].y;
  const double x2 = from[2].x - from[0].x, y2 = from[2].y - from[0].y, determinant = x1 * y2 - x2 * y1;
  const auto row = [&](double t0, double t1, double t2) {
    const double a = ((t1 - t0) * y2 - (t2 - t0) * y1) / determinant;
    const double b = ((t2 - t0) * x1 - (t1 - t0) * x2) / determinant;
    return std::array<double, 3>{a, b, t0 - a * from[0].x - b * from[0].y};
  };
  return {row(to[0].x, to[1].x, to[2].x), row(to[0].y, to[1].y, to[2].y)};
}

Picture moved_by_three_points(const Picture& picture, double reach, Drawn& drawn) {
  const auto middle_y = static_cast<double>(picture.height / 2), middle_x = static_cast<double>(picture.width / 2);
  const auto size = static_cast<double>(std::min(picture.width, picture.height) / 3);
  // As the authors have them, whose centre is (rows, columns) but whose points are (x, y).
  const std::array<Point, 3> from{Point{middle_y + size, middle_x + size}, Point{middle_y + size, middle_x - size},
                                  Point{middle_y - size, middle_x - size}};
  std::array<Point, 3> to = from;
  for (Point& point : to) point.x += drawn.uniform(-reach, reach), point.y += drawn.uniform(-reach, reach);
  const auto back = affine_map(to, from);
  Picture result(picture.width, picture.height, picture.channels);
  for (int64_t y = 0; y < picture.height; ++y)
    for (int64_t x = 0; x < picture.width; ++x) {
      const auto fx = static_cast<double>(x), fy = static_cast<double>(y);
      for (int64_t c = 0; c < picture.channels; ++c)
        result.at(y, x, c) =
            sample_bilinear(picture, back[1][0] * fx + back[1][1] * fy + back[1][2],
                            back[0][0] * fx + back[0][1] * fy + back[0][2], c, Border::kReflectWithout);
    }
  return result;
}

std::vector<double> smooth_field(const Picture& like, const CorruptionConstants& constants, Drawn& drawn) {
  Picture field(like.width, like.height, 1);
  for (double& value : field.values) value = drawn.uniform(-1, 1);
  Picture smooth = gaussian_filter(field, constants.b, 3, Border::kReflect);
  for (double& value : smooth.values) value *= constants.a;
  return smooth.values;
}

}  // namespace

Picture displaced(const Picture& picture, const std::vector<double>& row, const std::vector<double>& column) {
  Picture result(picture.width, picture.height, picture.channels);
  for (int64_t y = 0; y < picture.height; ++y)
    for (int64_t x = 0; x < picture.width; ++x) {
      const auto at = static_cast<size_t>(y * picture.width + x);
      for (int64_t c = 0; c < picture.channels; ++c)
        result.at(y, x, c) = sample_bilinear(picture, row[at], column[at], c, Border::kReflect);
    }
  return result;
}

Picture elastic(const Picture& picture, const CorruptionConstants& constants, Drawn& drawn) {
  // Constants are shares of the sides of the pictures that they were made for.
  const auto side = static_cast<double>(std::min(picture.width, picture.height));
  const CorruptionConstants pixels{constants.a * side, constants.b * side, constants.c * side};
  const Picture moved = moved_by_three_points(picture, pixels.c, drawn);
  std::vector<double> column = smooth_field(picture, pixels, drawn), row = smooth_field(picture, pixels, drawn);
  for (int64_t y = 0; y < picture.height; ++y)
    for (int64_t x = 0; x < picture.width; ++x) {
      row[static_cast<size_t>(y * picture.width + x)] += static_cast<double>(y);
      column[static_cast<size_t>(y * picture.width + x)] += static_cast<double>(x);
    }
  return displaced(moved, row, column);
}

}  // namespace vernier
