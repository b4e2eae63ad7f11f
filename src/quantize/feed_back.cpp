#include <ATen/ATen.h>

#include <algorithm>

#include "quantize/codes.h"

namespace vernier {

namespace {
constexpr int64_t kLazyBlock = 128;  // a whole number of the sets that codebooks choose together
}  // namespace

void feed_back(const CodeRows& rows, const Curvature& curvature) {
  const Grid& grid = rows.grid;
  const int64_t n = rows.weight.size(0), cols = grid.cols, segments = cols / grid.segment_cols, joint = grid.joint_cols;
  at::Tensor moved = rows.weight.index_select(1, at::tensor(curvature.order, at::kLong)).contiguous();
  const float* set_weights = joint > 1 ? curvature.set_weights.data_ptr<float>() : nullptr;
  for (int64_t begin = 0; begin < cols; begin += kLazyBlock) {
    const int64_t end = std::min(begin + kLazyBlock, cols), width = end - begin;
    const at::Tensor block = curvature.feedback.narrow(0, begin, width).narrow(1, begin, width).contiguous();
    const float* u = block.data_ptr<float>();
    at::Tensor errors = at::empty({n, width}, at::kFloat);
    for (int64_t r = 0; r < n; ++r) {
      float* w = moved.data_ptr<float>() + r * cols + begin;
      float* error = errors.data_ptr<float>() + r * width;
      for (int64_t first = 0; first < width; first += joint) {
        const int64_t col = curvature.order[static_cast<size_t>(begin + first)];
        const Step& step = rows.steps[static_cast<size_t>(r * segments + col / grid.segment_cols)];
        Code* codes = rows.codes.data() + r * cols + col;
        if (joint == 1)
          grid.nearest(step, w + first, 1, codes);
        else
          grid.nearest_jointly(step, w + first, set_weights + begin + first, joint, codes);
        for (int64_t j = first; j < first + joint; ++j) {
          const float* factor = u + j * width;
          const float e = (w[j] - value_of(step, grid.level(codes[j - first]))) / factor[j];
          error[j] = e;
          for (int64_t k = j + 1; k < width; ++k) w[k] -= e * factor[k];
        }
      }
    }
    if (end == cols) break;
    moved.narrow(1, end, cols - end)
        .addmm_(errors, curvature.feedback.narrow(0, begin, width).narrow(1, end, cols - end), 1, -1);
  }
}

}  // namespace vernier
