#include <ATen/ATen.h>

#include "quantize/codes.h"

namespace vernier {

void descend(const CodeRows& rows, const Curvature& curvature, int passes) {
  const Grid& grid = rows.grid;
  const int64_t n = rows.weight.size(0), cols = grid.cols, segments = cols / grid.segment_cols;
  const float* h = curvature.gram.data_ptr<float>();
  const at::Tensor values = values_of(rows);
  const at::Tensor gradients = at::mm(rows.weight - values, curvature.gram);
  for (int64_t r = 0; r < n; ++r) {
    float* value = values.data_ptr<float>() + r * cols;
    float* gradient = gradients.data_ptr<float>() + r * cols;
    bool moved = true;
    for (int pass = 0; moved && pass < passes; ++pass) {
      moved = false;
      for (int64_t j = 0; j < cols; ++j) {
        const Step& step = rows.steps[static_cast<size_t>(r * segments + j / grid.segment_cols)];
        const float* row = h + j * cols;
        const float best = value[j] + gradient[j] / row[j];
        Code& code = rows.codes[static_cast<size_t>(r * cols + j)];
        Code next = code;
        grid.nearest(step, &best, 1, &next);
        if (next == code) continue;
        const float to = value_of(step, grid.level(next)), by = to - value[j];
        // Between two codes that are as good, rounding would move to and fro.
        if (!(by * (by * row[j] - 2 * gradient[j]) < 0)) continue;
        code = next;
        value[j] = to;
        for (int64_t k = 0; k < cols; ++k) gradient[k] -= by * row[k];
        moved = true;
      }
    }
  }
}

}  // namespace vernier
