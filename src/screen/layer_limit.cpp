#include "screen/layer_limit.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>

#include "limit/spectrum.h"
#include "ops/parallel.h"
#include "screen/limit_source.h"

namespace vernier {

namespace {

/// All products of two eigenvalues.
void count_products(const std::vector<double>& of_outputs, const std::vector<double>& of_inputs, double factor,
                    DamageSpectrum& spectrum) {
  if (!(factor > 0)) return;
  std::vector<double> inputs;
  for (const double value : of_inputs)
    if (value > 0) inputs.push_back(std::log2(value));
  SpectrumCounter counter;
  for (const double value : of_outputs) {
    if (!(value > 0)) continue;
    const double own = std::log2(factor * value);
    for (const double input : inputs) counter.add(own + input);
  }
  counter.write(spectrum);
}

double total(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum;
}

}  // namespace

LayerLimit::LayerLimit(const ScreenPass& pass, const std::vector<TensorId>& matrices)
    : pass_(pass), matrices_(matrices), windows_at_once_(static_cast<int64_t>(pass.sums.windows().size())) {
  if (pass.limit == nullptr) return;
  std::map<SiteId, size_t> by_site;
  int64_t width = 0;
  const auto add = [&](int64_t own) {
    width += own;
    sums_.push_back({GramSum(own), {}});
    return sums_.size() - 1;
  };
  for (const TensorId& id : matrices) {
    const std::vector<int64_t> shape = pass.model.shape(id);
    const SiteId site = *pass.model.blueprint().at(id).input;
    const auto it = by_site.find(site);
    keeps_inputs_[id] = it == by_site.end();
    input_sum_[id] = it != by_site.end() ? it->second : by_site[site] = add(shape[1]);
    gradient_sum_[id] = add(shape[0]);
  }
  // A batch of sequences has a quarter of the memory, as far as all that are on their way have one each.
  int64_t longest = 1;
  for (const ScreenWindow& window : pass.sums.windows()) longest = std::max(longest, window.positions);
  const int64_t bytes = std::max<int64_t>(1, longest * width * static_cast<int64_t>(sizeof(float)));
  windows_at_once_ =
      std::min(windows_at_once_, std::max<int64_t>(pass.memory.backward, pass.memory.tile_bytes / bytes));
  for (Sum& sum : sums_) sum.kept.resize(static_cast<size_t>(windows_at_once_));
}

void LayerLimit::keep(int64_t place, const TensorId& id, const at::Tensor& inputs, const at::Tensor& gradients) {
  if (sums_.empty()) return;
  if (keeps_inputs_.at(id)) sums_[input_sum_.at(id)].kept[static_cast<size_t>(place)] = inputs;
  sums_[gradient_sum_.at(id)].kept[static_cast<size_t>(place)] = gradients;
}

void LayerLimit::add() {
  std::vector<std::pair<Sum*, int64_t>> tiles;
  for (Sum& sum : sums_)
    for (int64_t tile = 0; tile < sum.gram.tiles(); ++tile) tiles.emplace_back(&sum, tile);
  parallel_for(static_cast<int64_t>(tiles.size()), pass_.threads, [&](int64_t i, int) {
    const c10::NoGradGuard no_grad;
    const auto& [sum, tile] = tiles[static_cast<size_t>(i)];
    sum->gram.add(tile, sum->kept);
  });
  for (Sum& sum : sums_)
    for (at::Tensor& rows : sum.kept) {
      if (rows.defined()) sum.gram.count(rows.size(0));
      rows.reset();
    }
}

void LayerLimit::finish(const std::vector<at::Tensor>& weights) {
  if (sums_.empty()) return;
  std::vector<size_t> order(sums_.size());  // the largest first: they take by far the longest
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return sums_[a].gram.width() > sums_[b].gram.width(); });
  std::vector<std::vector<double>> found(sums_.size());
  parallel_for(static_cast<int64_t>(order.size()), pass_.threads, [&](int64_t i, int) {
    const c10::NoGradGuard no_grad;
    const size_t s = order[static_cast<size_t>(i)];
    found[s] = eigenvalues(sums_[s].gram.upper(), sums_[s].gram.rows());
  });
  const size_t first = pass_.limit->matrices.size();
  for (size_t m = 0; m < matrices_.size(); ++m)
    pass_.limit->matrices.push_back(empty_spectrum(matrices_[m], weights[m]));
  parallel_for(static_cast<int64_t>(matrices_.size()), pass_.threads, [&](int64_t i, int) {
    const auto m = static_cast<size_t>(i);
    const TensorId& id = matrices_[m];
    DamageSpectrum& spectrum = pass_.limit->matrices[first + m];
    const double entered = static_cast<double>(sums_[input_sum_.at(id)].gram.rows());
    if (entered == 0) return;  // an expert that got no token
    const double factor =
        spectrum.variance / 2 / entered / static_cast<double>(pass_.limit->tokens);  // G is per scored token, H per row
    const std::vector<double>&of_outputs = found[gradient_sum_.at(id)], &of_inputs = found[input_sum_.at(id)];
    spectrum.total_nats = factor * total(of_outputs) * total(of_inputs);
    count_products(of_outputs, of_inputs, factor, spectrum);
  });
}

}  // namespace vernier
