#pragma once

// A matrix put on its scheme's grid in two steps, scales and then codes, so that searches can be told apart by either.
//
//   const GridSearch matrix(input);
//   const Curvature curvature = curvature_of(gram, 0.05);
//   std::vector<std::byte> stored = matrix.make({.ranges = Ranges::kSearched, .feed_back = true}, importance, &curvature);
//   const at::Tensor error = matrix.values(stored) - matrix.weight();

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "quantize/curvature.h"
#include "scheme/grid.h"
#include "vernier/value_search.h"

namespace vernier {

/// Where a grid's ends lie.
enum class Ranges {
  kFitted,    ///< as the format's own fit says
  kSearched,  ///< of formats whose fit spans all weights: drawn in to where the weighted squared error is least
};

struct GridRecipe {
  Ranges ranges = Ranges::kFitted;
  bool feed_back = false;
  bool descend = false;
};

class GridSearch {
 public:
  /// @throws Error{kInvalidArgument} naming the matrix when its shape does not fit or a value is not finite
  explicit GridSearch(const SearchInput& input);

  const at::Tensor& weight() const { return weight_; }
  /// Columns whose codes are chosen together.
  int64_t joint_cols() const { return grid_->joint_cols; }
  /// Whether the format's fit spans all weights, so that Ranges differ.
  bool spans_all() const;
  /// Scales, and codes of no meaning. `importance`: mean squares of the columns, or empty for all alike.
  std::vector<std::byte> fit(Ranges ranges, const std::vector<float>& importance) const;
  /// Codes for scales as fit() gives. `curvature`: of the grid's joint_cols(), only for recipes over codes. `output`: also
  /// fed back from row to row.
  /// @source of both: the error of least tr(G E H E') that can be had row by row and column by column, as in YAQA
  ///         (arXiv:2505.22988), here a block of rows at a time
  std::vector<std::byte> with_codes(std::vector<std::byte> scales, const GridRecipe& recipe,
                                    const std::vector<float>& importance, const Curvature* curvature,
                                    const OutputCurvature* output = nullptr) const;
  /// Both.
  std::vector<std::byte> make(const GridRecipe& recipe, const std::vector<float>& importance,
                              const Curvature* curvature) const {
    return with_codes(fit(recipe.ranges, importance), recipe, importance, curvature);
  }
  at::Tensor values(const std::vector<std::byte>& stored) const;

 private:
  struct Coding;
  /// Codes of some rows and what they stand for. @shape weight, values [rows.size(), cols]
  void code_rows(const Coding& how, std::span<const int64_t> rows, const at::Tensor& weight, Code* codes,
                 at::Tensor* values) const;
  std::vector<std::byte> with_fed_back_rows(const Coding& how, std::vector<std::byte> stored,
                                            const OutputCurvature& output) const;
  void for_rows(int64_t unit, const std::function<void(int64_t first, int64_t count)>& fn) const;

  const Scheme& scheme_;
  int threads_;
  at::Tensor weight_;  // float32 [rows, cols], contiguous
  std::unique_ptr<Grid> grid_;
};

/// Of a block of any grid: its ends drawn in together and then each by itself; to no less than 40%.
void fit_searched_range(const Grid& grid, int64_t row, int64_t block, const float* x, const float* w,
                        std::byte* stored);

}  // namespace vernier
