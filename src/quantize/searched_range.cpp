// The range of a grid that spans all weights of a block by itself: where clipping the largest costs less than a finer step
// gains. What OmniQuant (arXiv:2308.13137) learns and AWQ (arXiv:2306.00978) searches on outputs, here on the weighted
// squared error, each end by itself.

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "quantize/grid_search.h"

namespace vernier {

namespace {

class RangeSearch {
 public:
  RangeSearch(const Grid& grid, int64_t row, int64_t block, const float* x, const float* w, std::byte* stored)
      : grid_(grid),
        row_(row),
        block_(block),
        x_(x),
        w_(w),
        stored_(stored),
        ends_(static_cast<size_t>(grid.block_cols * grid.block_rows)),
        codes_(static_cast<size_t>(grid.block_cols)),
        steps_(static_cast<size_t>(grid.segments())),
        levels_(size_t{grid.top_code} + 1) {
    for (Code code = 0; code <= grid.top_code; ++code) levels_[code] = grid.level(code);
    for (int64_t r = 0; r < grid.block_rows; ++r)
      for (int64_t i = 0; i < grid.block_cols; ++i) {
        low_ = std::min(low_, x[r * grid.cols + i]);
        high_ = std::max(high_, x[r * grid.cols + i]);
      }
  }

  void run() {
    constexpr int kTogether = 24;
    constexpr float kStep = 0.025f;
    for (int k = 0; k <= kTogether; ++k) consider(1 - kStep * static_cast<float>(k), 1 - kStep * static_cast<float>(k));
    for (int round = 0; round < 2; ++round)
      for (const float by : {-2 * kStep, -kStep, kStep, 2 * kStep}) {
        consider(best_low_ + by, best_high_);
        consider(best_low_, best_high_ + by);
      }
    fit(best_low_, best_high_);
  }

 private:
  /// As if the block's weights were between these shares of its ends.
  void fit(float low, float high) {
    const float least = low_ * std::min(low, 1.0f), most = high_ * std::min(high, 1.0f);
    for (int64_t r = 0; r < grid_.block_rows; ++r)
      for (int64_t i = 0; i < grid_.block_cols; ++i)
        ends_[static_cast<size_t>(r * grid_.block_cols + i)] = std::clamp(x_[r * grid_.cols + i], least, most);
    grid_.fit(row_, block_, ends_.data(), grid_.block_cols, w_, stored_);
  }

  void consider(float low, float high) {
    fit(low, high);
    double error = 0;
    for (int64_t r = 0; r < grid_.block_rows; ++r) {
      grid_.steps(row_ + r, block_, stored_, steps_.data());
      for (int64_t s = 0; s < grid_.segments(); ++s) {
        const int64_t first = s * grid_.segment_cols;
        const float* x = x_ + r * grid_.cols + first;
        const Step& step = steps_[static_cast<size_t>(s)];
        grid_.nearest(step, x, grid_.segment_cols, codes_.data());
        for (int64_t i = 0; i < grid_.segment_cols; ++i) {
          const float e = value_of(step, levels_[codes_[static_cast<size_t>(i)]]) - x[i];
          error += static_cast<double>(w_[first + i] * e * e);
        }
      }
    }
    if (!(error < error_)) return;
    error_ = error;
    best_low_ = low;
    best_high_ = high;
  }

  const Grid& grid_;
  const int64_t row_, block_;
  const float* const x_;
  const float* const w_;
  std::byte* const stored_;
  std::vector<float> ends_;
  std::vector<Code> codes_;
  std::vector<Step> steps_;
  std::vector<float> levels_;
  float low_ = 0, high_ = 0, best_low_ = 1, best_high_ = 1;
  double error_ = std::numeric_limits<double>::infinity();
};

}  // namespace

void fit_searched_range(const Grid& grid, int64_t row, int64_t block, const float* x, const float* w,
                        std::byte* stored) {
  RangeSearch(grid, row, block, x, w, stored).run();
}

}  // namespace vernier
