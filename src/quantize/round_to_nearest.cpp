#include <ATen/ATen.h>

#include "quantize/codes.h"

namespace vernier {

at::Tensor values_of(const CodeRows& rows) {
  const Grid& grid = rows.grid;
  const int64_t n = rows.weight.size(0), segments = grid.cols / grid.segment_cols;
  at::Tensor values = at::empty({n, grid.cols}, at::kFloat);
  float* out = values.data_ptr<float>();
  const Code* code = rows.codes.data();
  for (int64_t s = 0; s < n * segments; ++s)
    for (int64_t i = 0; i < grid.segment_cols; ++i)
      *out++ = value_of(rows.steps[static_cast<size_t>(s)], grid.level(*code++));
  return values;
}

void round_to_nearest(const CodeRows& rows, const std::vector<float>& columns) {
  const Grid& grid = rows.grid;
  const int64_t segments = rows.weight.size(0) * grid.cols / grid.segment_cols;
  const float* weight = rows.weight.data_ptr<float>();
  for (int64_t s = 0; s < segments; ++s)
    grid.nearest_jointly(rows.steps[static_cast<size_t>(s)], weight + s * grid.segment_cols,
                         columns.data() + s * grid.segment_cols % grid.cols, grid.segment_cols,
                         rows.codes.data() + s * grid.segment_cols);
}

}  // namespace vernier
