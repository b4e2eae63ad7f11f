#include "scheme/grid.h"

#include <algorithm>
#include <cmath>

#include "base/fail.h"
#include "scheme/number_format.h"
#include "scheme/step_parts.h"

namespace vernier {

Grid::Grid(const Shape& shape, Code top)
    : rows(shape.rows),
      cols(shape.cols),
      block_rows(shape.block_rows),
      block_cols(shape.block_cols),
      segment_cols(shape.segment_cols),
      top_code(top),
      joint_cols(shape.joint_cols),
      bits_per_code(shape.bits_per_code > 0 ? shape.bits_per_code : std::log2(static_cast<double>(top) + 1)) {}

void Grid::nearest_jointly(const Step& step, const float* x, const float*, int64_t n, Code* codes) const {
  nearest(step, x, n, codes);
}

StepParts Grid::parts(int64_t, int64_t, const std::byte*) const {
  fail(ErrorKind::kInternal, "scheme: these steps are no products");
}

void Grid::store_parts(int64_t, int64_t, const StepParts&, std::byte*) const {
  fail(ErrorKind::kInternal, "scheme: these steps are no products");
}

void Grid::encode(const float* weight, const float* w, std::byte* stored) const {
  std::vector<Code> codes(static_cast<size_t>(cols));
  std::vector<Step> of_block(static_cast<size_t>(segments()));
  for (int64_t first = 0; first < rows; first += block_rows) {
    for (int64_t block = 0; block < blocks(); ++block)
      fit(first, block, weight + first * cols + block * block_cols, cols, w + block * block_cols, stored);
    for (int64_t row = first; row < first + block_rows; ++row) {
      for (int64_t block = 0; block < blocks(); ++block) {
        steps(row, block, stored, of_block.data());
        for (int64_t s = 0; s < segments(); ++s) {
          const int64_t col = block * block_cols + s * segment_cols;
          nearest_jointly(of_block[static_cast<size_t>(s)], weight + row * cols + col, w + col, segment_cols,
                          codes.data() + col);
        }
      }
      pack_row(row, codes.data(), stored);
    }
  }
}

std::unique_ptr<Grid> grid_of(const Scheme& scheme, int64_t rows, int64_t cols) {
  if (const auto reason = scheme.why_not(rows, cols)) fail(ErrorKind::kInvalidArgument, "scheme: {}", *reason);
  return scheme.format().grid(scheme.parameters(), rows, cols);
}

std::vector<float> column_weights(std::span<const float> importance, int64_t cols) {
  std::vector<float> weights(static_cast<size_t>(cols), 1.0f);
  double sum = 0.0;
  float max = 0.0f;
  for (const float value : importance) {
    sum += value;
    max = std::max(max, value);
  }
  if (max == 0.0f) return weights;
  const double floor = 1e-4 * sum / static_cast<double>(cols);
  for (size_t c = 0; c < importance.size(); ++c) {
    weights[c] = static_cast<float>((static_cast<double>(importance[c]) + floor) / (max + floor));
  }
  return weights;
}

}  // namespace vernier
