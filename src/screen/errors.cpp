#include "screen/errors.h"

#include <ATen/ATen.h>

#include "model/requantize.h"
#include "ops/parallel.h"
#include "scheme/fitting.h"
#include "vernier/quantize_tensor.h"

namespace vernier {

TensorId SchemeErrors::in_model(TensorId id) const {
  if (stack_ != Stack::kOnly) id.stack = stack_;
  return id;
}

Scheme SchemeErrors::scheme_of(const TensorId& id, size_t scheme) const {
  const std::vector<int64_t> shape = model_.shape(in_model(id));
  return fitting_scheme(schemes_[scheme], shape[0], shape[1]);
}

bool SchemeErrors::kept(const TensorId& id, size_t scheme) const {
  return keeps_stored(model_, in_model(id), scheme_of(id, scheme));
}

bool SchemeErrors::rows_independent(const TensorId& id) const {
  for (size_t s = 0; s < schemes_.size(); ++s)
    if (!scheme_of(id, s).rows_independent()) return false;
  return true;
}

std::vector<at::Tensor> SchemeErrors::of(const TensorId& id, const at::Tensor& weight) const {
  const std::vector<float> importance = calibration_.importance(model_, in_model(id));
  std::vector<at::Tensor> errors(schemes_.size());
  for (size_t s = 0; s < schemes_.size(); ++s) {
    if (kept(id, s)) continue;
    at::Tensor values = quantize_values(scheme_of(id, s), weight, importance, threads_, name_of(in_model(id)));
    errors[s] = values.sub_(weight);
  }
  return errors;
}

void SchemeErrors::add_sums(const TensorId& id, const SliceGrid& grid, int64_t first_row, const at::Tensor& weight,
                            const std::vector<at::Tensor>& errors, WeightSums& sums) const {
  const size_t cells = grid.cells(), width = grid.col_borders().size() - 1;
  if (sums.squares.empty()) {
    sums.squares.assign(cells, 0);
    for (auto* each : {&sums.errors, &sums.products}) each->assign(errors.size() * cells, 0);
    sums.error_power.assign(errors.size(), 0);
  }
  const std::vector<float> importance = calibration_.importance(model_, in_model(id));
  const at::Tensor columns = importance.empty() ? at::Tensor() : at::tensor(importance).to(at::kDouble);
  const int64_t rows = weight.size(0);
  const auto add_cells = [&](const at::Tensor& a, const at::Tensor& b, double* out) {  // per cell sum a b
    for (int64_t r = first_row; r < first_row + rows;) {
      const size_t cell = grid.first_cell(r);
      const int64_t end = std::min(first_row + rows, grid.row_borders()[cell / width + 1]);
      const at::Tensor by_column = (a.narrow(0, r - first_row, end - r) * b.narrow(0, r - first_row, end - r))
                                       .sum(0, /*keepdim=*/false, at::kDouble);
      for (size_t c = 0; c < width; ++c)
        out[cell + c] += by_column.narrow(0, grid.col_borders()[c], grid.col_borders()[c + 1] - grid.col_borders()[c])
                             .sum()
                             .item<double>();
      r = end;
    }
  };
  // One scheme per thread, each summed by one: the same bits with any number of them.
  parallel_for(static_cast<int64_t>(errors.size()) + 1, threads_, [&](int64_t item, int) {
    if (item == 0) return add_cells(weight, weight, sums.squares.data());
    const auto s = static_cast<size_t>(item) - 1;
    if (!errors[s].defined()) return;
    add_cells(errors[s], errors[s], sums.errors.data() + s * cells);
    add_cells(weight, errors[s], sums.products.data() + s * cells);
    const at::Tensor powers = errors[s].square().sum(0, /*keepdim=*/false, at::kDouble);
    sums.error_power[s] += (columns.defined() ? powers * columns : powers).sum().item<double>();
  });
}

}  // namespace vernier
