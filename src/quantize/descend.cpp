#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "quantize/codes.h"

namespace vernier {

namespace {

/// A row on its way: its values, and the gradient (w - value) H of what it costs.
struct DescendingRow {
  const Grid& grid;
  const Step* steps;  // [segments]
  Code* codes;        // [cols]
  float* value;
  float* gradient;
  const float* h;  // [cols, cols]

  const Step& step(int64_t col) const { return steps[col / grid.segment_cols]; }
  void move(int64_t col, Code code, float to) const {
    const float by = to - value[col];
    const float* row = h + col * grid.cols;
    codes[col] = code;
    value[col] = to;
    for (int64_t k = 0; k < grid.cols; ++k) gradient[k] -= by * row[k];
  }
};

bool move_one(const DescendingRow& r, int64_t j) {
  const float* row = r.h + j * r.grid.cols;
  const float best = r.value[j] + r.gradient[j] / row[j];
  Code next = r.codes[j];
  r.grid.nearest(r.step(j), &best, 1, &next);
  if (next == r.codes[j]) return false;
  const float to = value_of(r.step(j), r.grid.level(next)), by = to - r.value[j];
  // Between two codes that are as good, rounding would move to and fro.
  if (!(by * (by * row[j] - 2 * r.gradient[j]) < 0)) return false;
  r.move(j, next, to);
  return true;
}

/// How many times its diagonal bounds the block of H at `first`, as a quadratic form.
float bound_of(const float* h, int64_t cols, int64_t first, int64_t n) {
  float most = 1;
  for (int64_t i = first; i < first + n; ++i) {
    float sum = 0;
    for (int64_t k = first; k < first + n; ++k)
      sum += std::fabs(h[i * cols + k]) / std::sqrt(h[i * cols + i] * h[k * cols + k]);
    most = std::max(most, sum);
  }
  return most;
}

/// Codes that belong together: by the diagonal alone, and by what bounds H, which always finds a better place or none.
bool move_set(const DescendingRow& r, int64_t first, float bound) {
  const int64_t n = r.grid.joint_cols, cols = r.grid.cols;
  float best[Grid::kMostJoint], weights[Grid::kMostJoint], by[Grid::kMostJoint];
  Code next[Grid::kMostJoint];
  for (int64_t i = 0; i < n; ++i) weights[i] = r.h[(first + i) * cols + first + i];
  for (const float times : {1.0f, bound}) {
    for (int64_t i = 0; i < n; ++i) best[i] = r.value[first + i] + r.gradient[first + i] / (times * weights[i]);
    r.grid.nearest_jointly(r.step(first), best, weights, n, next);
    if (std::equal(next, next + n, r.codes + first)) continue;
    double change = 0;
    for (int64_t i = 0; i < n; ++i) by[i] = value_of(r.step(first), r.grid.level(next[i])) - r.value[first + i];
    for (int64_t i = 0; i < n; ++i) {
      double product = -2 * static_cast<double>(r.gradient[first + i]);
      for (int64_t k = 0; k < n; ++k) product += static_cast<double>(r.h[(first + i) * cols + first + k] * by[k]);
      change += static_cast<double>(by[i]) * product;
    }
    if (!(change < 0)) continue;
    for (int64_t i = 0; i < n; ++i)
      if (by[i] != 0) r.move(first + i, next[i], r.value[first + i] + by[i]);
    return true;
  }
  return false;
}

}  // namespace

void descend(const CodeRows& rows, const Curvature& curvature, int passes) {
  const Grid& grid = rows.grid;
  const int64_t n = rows.weight.size(0), cols = grid.cols, segments = cols / grid.segment_cols, joint = grid.joint_cols;
  const float* h = curvature.gram.data_ptr<float>();
  const at::Tensor values = values_of(rows);
  const at::Tensor gradients = at::mm(rows.weight - values, curvature.gram);
  std::vector<float> bounds;
  for (int64_t first = 0; joint > 1 && first < cols; first += joint) bounds.push_back(bound_of(h, cols, first, joint));
  for (int64_t r = 0; r < n; ++r) {
    const DescendingRow row{grid,
                            rows.steps.data() + r * segments,
                            rows.codes.data() + r * cols,
                            values.data_ptr<float>() + r * cols,
                            gradients.data_ptr<float>() + r * cols,
                            h};
    bool moved = true;
    for (int pass = 0; moved && pass < passes; ++pass) {
      moved = false;
      for (int64_t j = 0; j < cols; j += joint)
        moved |= joint == 1 ? move_one(row, j) : move_set(row, j, bounds[static_cast<size_t>(j / joint)]);
    }
  }
}

}  // namespace vernier
