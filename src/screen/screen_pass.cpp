#include "screen/screen_pass.h"

#include <cmath>
#include <numeric>

namespace vernier {

namespace {

ScreenedMatrix screened_matrix(const ScreenPass& pass, const TensorId& id, const WeightSums& sums) {
  const std::vector<int64_t> shape = pass.model.shape(id);
  ScreenedMatrix matrix{id, shape[0], shape[1], {}};
  const size_t cells = sums.squares.size();
  const double power = std::accumulate(sums.squares.begin(), sums.squares.end(), 0.0);
  for (size_t s = 0; s < pass.errors.schemes(); ++s) {
    const double* first = sums.errors.data() + s * cells;
    const double noise = std::accumulate(first, first + cells, 0.0);
    matrix.errors.push_back({pass.errors.scheme_of(id, s).name(), pass.errors.kept(id, s), sums.error_power[s],
                             noise > 0 ? 10 * std::log10(power / noise) : INFINITY});
  }
  return matrix;
}

}  // namespace

void add_matrix(const ScreenPass& pass, const TensorId& id, const std::vector<const GradientSums*>& windows,
                const WeightSums& weights, const std::vector<const InputSums*>& inputs) {
  pass.sums.add(id, windows, weights);
  pass.matrices.push_back(screened_matrix(pass, id, weights));
  if (pass.channels == nullptr) return;
  for (size_t w = 0; w < windows.size(); ++w)
    if (windows[w] != nullptr) pass.channels->add(id, w, *windows[w], inputs.empty() ? nullptr : inputs[w]);
}

}  // namespace vernier
