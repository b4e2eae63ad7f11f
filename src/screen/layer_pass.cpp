#include "screen/layer_pass.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <map>

#include "model/block_layout.h"
#include "ops/parallel.h"
#include "screen/gradient_tile.h"
#include "screen/layer_backward.h"
#include "screen/layer_limit.h"

namespace vernier {

namespace {

/// A matrix of the layer under all schemes.
struct LayerMatrix {
  TensorId id;
  at::Tensor weight;
  std::vector<at::Tensor> errors;
  std::vector<const float*> error_values;
  WeightSums sums;
};

/// What one sequence says about one matrix.
struct WindowMatrix {
  GradientSums gradients;
  InputSums inputs;
  int64_t rows = 0;                        // that entered
  at::Tensor kept_inputs, kept_gradients;  // some of them, for the estimators by factors
};

std::map<TensorId, size_t> layer_matrices(const ScreenPass& pass, AtenBlock& block, std::vector<LayerMatrix>& all) {
  std::map<TensorId, size_t> index;
  for_each_product(block, [&](AtenStack& part, const std::vector<TensorId>& ids) {
    for (size_t i = 0; i < ids.size(); ++i) {
      if (!pass.sums.has(ids[i])) continue;
      index[ids[i]] = all.size();
      all.push_back({ids[i], part[i].weight, {}, {}, {}});
    }
  });
  for (LayerMatrix& matrix : all) {
    matrix.errors = pass.errors.of(matrix.id, matrix.weight);
    for (const at::Tensor& error : matrix.errors)
      matrix.error_values.push_back(error.defined() ? error.data_ptr<float>() : nullptr);
    pass.errors.add_sums(matrix.id, pass.sums.grid(matrix.id), 0, matrix.weight, matrix.errors, matrix.sums);
  }
  return index;
}

/// How many rows of each sequence are kept.
std::vector<int64_t> rows_per_window(const ScreenPass& pass) {
  const std::vector<ScreenWindow>& windows = pass.sums.windows();
  std::vector<int64_t> count;
  for (const ScreenWindow& window : windows) {
    count.resize(std::max(count.size(), window.domain + 1));
    ++count[window.domain];
  }
  for (int64_t& n : count) n = (pass.options.kfac_rows + n - 1) / n;
  return count;
}

/// A matrix of a sequence whose gradient is still to be made.
struct Pending {
  size_t window, matrix;
  at::Tensor rows, inputs;
};

/// Estimators by factors: every slice of a matrix under every scheme, domain by domain.
void add_factors(const ScreenPass& pass, const std::vector<LayerMatrix>& matrices,
                 std::vector<std::vector<WindowMatrix>>& found) {
  const std::vector<ScreenWindow>& windows = pass.sums.windows();
  const size_t domains = windows.back().domain + 1, schemes = pass.errors.schemes();
  for (size_t m = 0; m < matrices.size(); ++m) {
    std::vector<TokenRows> rows(domains);
    for (size_t w = 0; w < windows.size(); ++w) {
      WindowMatrix& own = found[w][m];
      if (own.rows > 0) rows[windows[w].domain].add(w, own.rows, own.kept_inputs, own.kept_gradients);
      own.kept_inputs.reset();
      own.kept_gradients.reset();
    }
    for (TokenRows& each : rows) each.finish();
    const std::vector<ScreenSums::Slice>& slices = pass.sums.slices(matrices[m].id);
    std::vector<RowSums> sums(slices.size() * schemes);
    std::vector<double> top(slices.size() * domains);
    parallel_for(static_cast<int64_t>(sums.size() + top.size()), pass.threads, [&](int64_t item, int) {
      const c10::NoGradGuard no_grad;
      const auto i = static_cast<size_t>(item);
      if (i >= sums.size()) {
        const size_t place = i - sums.size();
        top[place] = top_eigenvalue(rows[place % domains], slices[place / domains].slice);
        return;
      }
      const at::Tensor& error = matrices[m].errors[i % schemes];
      if (!error.defined()) return;
      for (auto* each : {&sums[i].kfac_twice, &sums[i].output_error}) each->assign(windows.size(), 0);
      for (const TokenRows& each : rows) add_row_sums(each, slices[i / schemes].slice, error, sums[i]);
    });
    for (size_t i = 0; i < sums.size(); ++i) {
      if (sums[i].kfac_twice.empty()) continue;
      const ScreenSums::Slice& slice = slices[i / schemes];
      pass.sums.add_rows(slice, i % schemes, sums[i]);
      double squares = 0;
      for (const size_t cell : slice.cells)
        squares += matrices[m].sums.errors[i % schemes * pass.sums.grid(matrices[m].id).cells() + cell];
      for (size_t d = 0; d < domains; ++d)
        pass.sums.add_top_eigenvalue(slice, i % schemes, d, squares * top[i / schemes * domains + d]);
    }
  }
}

}  // namespace

void add_layer(const ScreenPass& pass, int layer, const std::vector<at::Tensor>& streams,
               std::vector<at::Tensor>& gradients, const LayerTick& tick) {
  const std::vector<ScreenWindow>& windows = pass.sums.windows();
  AtenBlock block = pass.aten.block(layer);
  std::vector<LayerMatrix> matrices;
  const std::map<TensorId, size_t> index = layer_matrices(pass, block, matrices);
  pass.model.release_pages();
  const std::vector<int64_t> wanted = rows_per_window(pass);
  std::vector<std::vector<WindowMatrix>> found(windows.size());
  std::vector<at::Tensor> buffers(static_cast<size_t>(std::max(pass.threads, pass.memory.products)));
  std::vector<TensorId> ids;
  for (const LayerMatrix& matrix : matrices) ids.push_back(matrix.id);
  LayerLimit limit(pass, ids);
  const auto gradient_of = [&](size_t m, const at::Tensor& rows, const at::Tensor& inputs) {
    return GradientOf{pass.sums.grid(matrices[m].id), rows, inputs, matrices[m].error_values, pass.channels != nullptr};
  };

  // Where memory keeps threads from differentiating, they multiply what the others have differentiated.
  const auto count = static_cast<int64_t>(windows.size());
  const bool helped = pass.memory.products > pass.memory.backward && pass.memory.backward < count;
  std::vector<std::vector<Pending>> pending(helped ? windows.size() : 0);
  const auto differentiate = [&](int64_t first, int64_t place, int worker) {
    const auto w = static_cast<size_t>(first + place);
    found[w].resize(matrices.size());
    const auto visit = [&](const TensorId& id, const at::Tensor& inputs, const at::Tensor& by_output) {
      const auto it = index.find(id);
      if (it == index.end()) return;
      const size_t m = it->second;
      WindowMatrix& own = found[w][m];
      own.rows = inputs.size(0);
      const at::Tensor rows = by_output.reshape({own.rows, -1});
      if (helped)
        pending[w].push_back({w, m, rows, inputs});
      else
        own.gradients = gradient_of(m, rows, inputs).all(buffers[static_cast<size_t>(worker)]);
      if (pass.channels != nullptr) own.inputs = input_sums(inputs);
      limit.keep(place, id, inputs, rows);
      if (pass.options.kfac_rows == 0) return;
      const ScreenWindow& window = windows[w];
      const auto sampled = [&](RowSide side, const at::Tensor& all) {
        return sample_rows(pass.options.seed, window.index, side, all, wanted[window.domain]);
      };
      own.kept_inputs = sampled(RowSide::kInputs, inputs);
      own.kept_gradients = sampled(RowSide::kGradients, rows);
    };
    gradients[w] =
        layer_backward(pass.aten, pass.model.blueprint(), block, windows[w].first_row, streams[w], gradients[w], visit);
    if (tick) tick();
  };
  const auto multiply_pending = [&] {
    std::vector<std::pair<const Pending*, int64_t>> tiles;
    for (const std::vector<Pending>& window : pending)
      for (const Pending& each : window)
        for (int64_t t = 0; t < gradient_of(each.matrix, each.rows, each.inputs).tiles(); ++t)
          tiles.emplace_back(&each, t);
    std::vector<GradientSums> sums(tiles.size());
    parallel_for(static_cast<int64_t>(tiles.size()), pass.memory.products, [&](int64_t i, int worker) {
      const c10::NoGradGuard no_grad;
      const auto& [each, tile] = tiles[static_cast<size_t>(i)];
      sums[static_cast<size_t>(i)] =
          gradient_of(each->matrix, each->rows, each->inputs).tile(tile, buffers[static_cast<size_t>(worker)]);
    });
    for (size_t i = 0; i < tiles.size(); ++i) {
      const auto& [each, tile] = tiles[i];
      GradientSums& own = found[each->window][each->matrix].gradients;
      if (tile == 0)
        own = std::move(sums[i]);
      else
        own.add(sums[i]);
    }
    for (std::vector<Pending>& window : pending) window.clear();
  };
  for (int64_t first = 0; first < count; first += limit.windows_at_once()) {
    const int64_t here = std::min(limit.windows_at_once(), count - first);
    const int64_t step = helped ? pass.memory.backward : here;
    for (int64_t begin = 0; begin < here; begin += step) {
      parallel_for(std::min(step, here - begin), pass.memory.backward,
                   [&](int64_t i, int worker) { differentiate(first, begin + i, worker); });
      if (helped) multiply_pending();
    }
    limit.add();
  }

  for (size_t m = 0; m < matrices.size(); ++m) {
    std::vector<const GradientSums*> by_window;
    std::vector<const InputSums*> inputs;
    for (const auto& window : found) {
      by_window.push_back(window[m].gradients.squares.empty() ? nullptr : &window[m].gradients);
      inputs.push_back(&window[m].inputs);
    }
    add_matrix(pass, matrices[m].id, by_window, matrices[m].sums, inputs);
  }
  if (pass.options.kfac_rows > 0) add_factors(pass, matrices, found);
  std::vector<at::Tensor> weights;
  for (const LayerMatrix& matrix : matrices) weights.push_back(matrix.weight);
  limit.finish(weights);
}

}  // namespace vernier
