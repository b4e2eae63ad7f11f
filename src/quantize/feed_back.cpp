#include <ATen/ATen.h>

#include <algorithm>

#include "quantize/codes.h"

namespace vernier {

namespace {
constexpr int64_t kLazyBlock = 128;  // a whole number of the sets that codebooks choose together

/// What columns of a set are best at, given what those before the set have become: each takes the others of its set to
/// be at what is best for them.
/// @shape original, w [joint]; m: rows and columns of the set, `stride` floats from row to row
void spread_in_set(const float* original, float* w, const float* m, int64_t joint, int64_t stride) {
  for (int64_t i = 0; i < joint; ++i)
    for (int64_t j = i + 1; j < joint; ++j) w[j] += (original[i] - w[i]) * m[i * stride + j];
}

}  // namespace

void feed_back(const CodeRows& rows, const Curvature& curvature) {
  const Grid& grid = rows.grid;
  const int64_t n = rows.weight.size(0), cols = grid.cols, segments = cols / grid.segment_cols, joint = grid.joint_cols;
  const at::Tensor original = rows.weight.index_select(1, at::tensor(curvature.order, at::kLong)).contiguous();
  at::Tensor moved = original.clone();
  const float* set_weights = joint > 1 ? curvature.set_weights.data_ptr<float>() : nullptr;
  for (int64_t begin = 0; begin < cols; begin += kLazyBlock) {
    const int64_t end = std::min(begin + kLazyBlock, cols), width = end - begin;
    const at::Tensor block = curvature.feedback.narrow(0, begin, width).narrow(1, begin, width).contiguous();
    const float* m = block.data_ptr<float>();
    at::Tensor errors = at::empty({n, width}, at::kFloat);
    for (int64_t r = 0; r < n; ++r) {
      const float* from = original.data_ptr<float>() + r * cols + begin;
      float* w = moved.data_ptr<float>() + r * cols + begin;
      float* error = errors.data_ptr<float>() + r * width;
      for (int64_t first = 0; first < width; first += joint) {
        const int64_t col = curvature.order[static_cast<size_t>(begin + first)];
        const Step& step = rows.steps[static_cast<size_t>(r * segments + col / grid.segment_cols)];
        Code* codes = rows.codes.data() + r * cols + col;
        if (joint == 1) {
          grid.nearest(step, w + first, 1, codes);
        } else {
          spread_in_set(from + first, w + first, m + first * (width + 1), joint, width);
          grid.nearest_jointly(step, w + first, set_weights + begin + first, joint, codes);
        }
        for (int64_t j = first; j < first + joint; ++j) {
          const float* factor = m + j * width;
          const float e = from[j] - value_of(step, grid.level(codes[j - first]));
          error[j] = e;
          for (int64_t k = first + joint; k < width; ++k) w[k] += e * factor[k];
        }
      }
    }
    if (end == cols) break;
    moved.narrow(1, end, cols - end)
        .addmm_(errors, curvature.feedback.narrow(0, begin, width).narrow(1, end, cols - end));
  }
}

}  // namespace vernier
