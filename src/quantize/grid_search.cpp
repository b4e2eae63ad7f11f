#include "quantize/grid_search.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <numeric>

#include "base/fail.h"
#include "ops/nested_for.h"
#include "quantize/codes.h"
#include "scheme/integer_format.h"
#include "vernier/stored_matrix.h"

namespace vernier {

namespace {

constexpr int64_t kRowsAtOnce = 32;  // a whole number of the words that hold integer grids' zero points
constexpr int kPasses = 32;          // far more than it takes but for inputs of low rank

/// Checks what encode() checks.
at::Tensor finite_matrix(const SearchInput& in) {
  at::Tensor weight = in.weight.detach().to(at::kFloat).contiguous();
  if (const auto reason = in.scheme.why_not(weight.size(0), weight.size(1)))
    fail(ErrorKind::kInvalidArgument, "quantize: {}: {}", in.what, *reason);
  if (!at::isfinite(weight).all().item<bool>())
    fail(ErrorKind::kInvalidArgument, "quantize: {}: a weight is NaN or infinite; a number format needs finite weights",
         in.what);
  return weight;
}

}  // namespace

GridSearch::GridSearch(const SearchInput& input)
    : scheme_(input.scheme),
      threads_(input.threads),
      weight_(finite_matrix(input)),
      grid_(grid_of(input.scheme, weight_.size(0), weight_.size(1))) {}

void GridSearch::for_rows(int64_t unit, const std::function<void(int64_t, int64_t)>& fn) const {
  const int64_t rows = grid_->rows, ranges = (rows + unit - 1) / unit;
  nested_for(ranges, threads_, [&](int64_t i) {
    const c10::NoGradGuard no_grad;
    fn(i * unit, std::min(unit, rows - i * unit));
  });
}

bool GridSearch::spans_all() const { return integer_parameters(scheme_).has_value(); }

std::vector<std::byte> GridSearch::fit(Ranges ranges, const std::vector<float>& importance) const {
  const int64_t cols = grid_->cols;
  const std::vector<float> columns = column_weights(importance, cols);
  std::vector<std::byte> stored(scheme_.bytes(grid_->rows, cols));
  // Formats that search their scales themselves gain nothing by a second search around it.
  const bool searched = ranges == Ranges::kSearched && spans_all();
  for_rows(grid_->block_rows == 1 ? kRowsAtOnce : grid_->rows, [&](int64_t first, int64_t count) {
    for (int64_t row = first; row < first + count; row += grid_->block_rows)
      for (int64_t block = 0; block < grid_->blocks(); ++block) {
        const int64_t col = block * grid_->block_cols;
        const float* x = weight_.data_ptr<float>() + row * cols + col;
        if (searched)
          fit_searched_range(*grid_, row, block, x, columns.data() + col, stored.data());
        else
          grid_->fit(row, block, x, cols, columns.data() + col, stored.data());
      }
  });
  return stored;
}

struct GridSearch::Coding {
  const GridRecipe& recipe;
  const std::vector<float>& columns;
  const Curvature* curvature;
  const std::byte* scales;
};

void GridSearch::code_rows(const Coding& how, std::span<const int64_t> rows, const at::Tensor& weight, Code* codes,
                           at::Tensor* values) const {
  const int64_t cols = grid_->cols, segments = cols / grid_->segment_cols, count = std::ssize(rows);
  std::vector<Step> steps(static_cast<size_t>(count * segments));
  std::vector<Code> own(static_cast<size_t>(count * cols));
  for (int64_t r = 0; r < count; ++r)
    for (int64_t block = 0; block < grid_->blocks(); ++block)
      grid_->steps(rows[static_cast<size_t>(r)], block, how.scales,
                   steps.data() + r * segments + block * grid_->segments());
  const CodeRows range{*grid_, weight, steps, own};
  if (how.recipe.feed_back && how.curvature != nullptr)
    feed_back(range, *how.curvature);
  else
    round_to_nearest(range, how.columns);
  if (how.recipe.descend && how.curvature != nullptr) descend(range, *how.curvature, kPasses);
  std::copy(own.begin(), own.end(), codes);
  if (values != nullptr) values->copy_(values_of(range));
}

std::vector<std::byte> GridSearch::with_codes(std::vector<std::byte> stored, const GridRecipe& recipe,
                                              const std::vector<float>& importance, const Curvature* curvature,
                                              const OutputCurvature* output) const {
  const int64_t cols = grid_->cols;
  const std::vector<float> columns = column_weights(importance, cols);
  const Coding how{recipe, columns, curvature, stored.data()};
  if (output != nullptr) return with_fed_back_rows(how, std::move(stored), *output);
  for_rows(kRowsAtOnce, [&](int64_t first, int64_t count) {
    std::vector<int64_t> rows(static_cast<size_t>(count));
    std::iota(rows.begin(), rows.end(), first);
    std::vector<Code> codes(static_cast<size_t>(count * cols));
    code_rows(how, rows, weight_.narrow(0, first, count), codes.data(), nullptr);
    for (int64_t r = 0; r < count; ++r) grid_->pack_row(first + r, codes.data() + r * cols, stored.data());
  });
  return stored;
}

std::vector<std::byte> GridSearch::with_fed_back_rows(const Coding& how, std::vector<std::byte> stored,
                                                      const OutputCurvature& output) const {
  constexpr int64_t kRowsOfAThread = 8;
  const int64_t cols = grid_->cols, all = grid_->rows;
  const at::Tensor original = weight_.index_select(0, at::tensor(output.order, at::kLong)).contiguous();
  at::Tensor moved = original.clone();
  std::vector<Code> codes(static_cast<size_t>(all * cols));  // in that order
  int64_t begin = 0;
  for (const int64_t end : output.block_ends) {
    const int64_t count = end - begin;
    const at::Tensor from = original.narrow(0, begin, count), m = output.feedback.narrow(0, begin, count);
    // Each row takes the others of its block to be at what is best for them.
    const at::Tensor away = at::linalg_solve_triangular(m.narrow(1, begin, count).t().contiguous(),
                                                        moved.narrow(0, begin, count) - from, /*upper=*/false);
    const at::Tensor target = (from + away).contiguous();
    const at::Tensor values = at::empty_like(target);
    nested_for((count + kRowsOfAThread - 1) / kRowsOfAThread, threads_, [&](int64_t part) {
      const c10::NoGradGuard no_grad;
      const int64_t first = part * kRowsOfAThread, here = std::min(kRowsOfAThread, count - first);
      at::Tensor own = values.narrow(0, first, here);
      code_rows(how, {output.order.data() + begin + first, static_cast<size_t>(here)}, target.narrow(0, first, here),
                codes.data() + (begin + first) * cols, &own);
    });
    if (end < all) moved.narrow(0, end, all - end).addmm_(m.narrow(1, end, all - end).t(), from - values);
    begin = end;
  }
  for (int64_t r = 0; r < all; ++r)
    grid_->pack_row(output.order[static_cast<size_t>(r)], codes.data() + r * cols, stored.data());
  return stored;
}

at::Tensor GridSearch::values(const std::vector<std::byte>& stored) const {
  return StoredMatrix(scheme_, {grid_->rows, grid_->cols}, stored).values();
}

}  // namespace vernier
