#include "screen/screen_sums.h"

#include <algorithm>

#include "base/statistics.h"
#include "vernier/blueprint.h"

namespace vernier {

ScreenWindow screen_window(const TokenWindow& window) {
  return {.window = &window,
          .positions = static_cast<int64_t>(window.tokens.size()) - 1,
          .first_row = window.first_row,
          .scored = window.scored()};
}

std::vector<ScreenWindow> windows_of(const std::vector<ScreenText>& domains) {
  std::vector<ScreenWindow> windows;
  for (size_t d = 0; d < domains.size(); ++d) {
    const EvaluationData& data = domains[d].data;
    for (size_t w = 0; w < data.windows.size(); ++w) {
      ScreenWindow& window = windows.emplace_back(screen_window(data.windows[w]));
      window.domain = d;
      window.index = w;
      window.cluster = data.distinct_cluster(data.windows[w]);
    }
  }
  return windows;
}

ScreenSums::ScreenSums(const ModelConfig& config, std::vector<Component> components, std::vector<ScreenWindow> windows,
                       size_t schemes, bool rows)
    : components_(std::move(components)), windows_(std::move(windows)), schemes_(schemes), domains_(0) {
  for (const ScreenWindow& window : windows_) domains_ = std::max(domains_, window.domain + 1);
  std::map<TensorId, std::vector<std::pair<WeightSlice, size_t>>> found;
  for (size_t c = 0; c < components_.size(); ++c)
    for (const WeightSlice& slice : slices_of(config, components_[c])) found[slice.tensor].emplace_back(slice, c);
  for (const auto& [id, own] : found) {
    std::vector<WeightSlice> all;
    for (const auto& [slice, component] : own) all.push_back(slice);
    const std::vector<int64_t> shape = shape_of(config, id);
    Matrix matrix{SliceGrid(shape[0], shape[1], all), {}, {}};
    for (const auto& [slice, component] : own) {
      auto it = std::find_if(matrix.slices.begin(), matrix.slices.end(),
                             [&, &s = slice](const Slice& other) { return other.slice == s; });
      if (it == matrix.slices.end())
        it = matrix.slices.insert(matrix.slices.end(), {slice, matrix.grid.cells_of(slice), {}});
      it->components.push_back(component);
    }
    matrices_.emplace(id, std::move(matrix));
  }
  const size_t pairs = components_.size() * schemes_;
  for (auto* sums : {&dots_, &diagonal_, &fit_}) sums->assign(pairs * windows_.size(), 0);
  if (rows)
    for (auto* sums : {&kfac_twice_, &output_error_}) sums->assign(pairs * windows_.size(), 0);
  for (auto* sums : {&weight_squares_, &error_squares_, &error_products_}) sums->assign(pairs, 0);
  if (rows) top_eigenvalue_.assign(pairs * domains_, 0);
  no_rows_.assign(components_.size(), !rows);
}

void ScreenSums::add(const TensorId& id, const std::vector<const GradientSums*>& windows, const WeightSums& weights) {
  Matrix& matrix = matrices_.at(id);
  matrix.weights = weights;
  const size_t cells = matrix.grid.cells();
  for (const Slice& slice : matrix.slices)
    for (size_t s = 0; s < schemes_; ++s) {
      const auto sum = [&](const std::vector<double>& values, size_t first) {
        double total = 0;
        for (const size_t cell : slice.cells) total += values[first + cell];
        return total;
      };
      const double error = sum(weights.errors, s * cells);
      const double mean_error = error / static_cast<double>(slice.slice.size());
      for (const size_t c : slice.components) {
        weight_squares_[place(c, s)] += sum(weights.squares, 0);
        error_squares_[place(c, s)] += error;
        error_products_[place(c, s)] += sum(weights.products, s * cells);
        for (size_t w = 0; w < windows.size(); ++w) {
          if (windows[w] == nullptr) continue;
          row(dots_, c, s)[w] += sum(windows[w]->dots, s * cells);
          row(diagonal_, c, s)[w] += sum(windows[w]->diagonal, s * cells);
          row(fit_, c, s)[w] += sum(windows[w]->squares, 0) * mean_error;
        }
      }
    }
}

void ScreenSums::add_rows(const Slice& slice, size_t scheme, const RowSums& sums) {
  for (const size_t c : slice.components)
    for (size_t w = 0; w < windows_.size(); ++w) {
      row(kfac_twice_, c, scheme)[w] += sums.kfac_twice[w];
      row(output_error_, c, scheme)[w] += sums.output_error[w];
    }
}

void ScreenSums::add_top_eigenvalue(const Slice& slice, size_t scheme, size_t domain, double value) {
  for (const size_t c : slice.components) top_eigenvalue_[place(c, scheme) * domains_ + domain] += value;
}

void ScreenSums::without_rows(const TensorId& id) {
  if (!has(id)) return;
  for (const Slice& slice : slices(id))
    for (const size_t c : slice.components) no_rows_[c] = true;
}

void ScreenSums::add_hessian(size_t domain, const HessianProbes& probes) {
  const size_t pairs = components_.size() * schemes_;
  hessian_.resize(pairs * domains_);
  std::vector<std::vector<double>> values(pairs);  // by probe
  for (const auto& [id, by_probe] : probes) {
    const Matrix& matrix = matrices_.at(id);
    const size_t cells = matrix.grid.cells();
    for (const Slice& slice : matrix.slices)
      for (size_t s = 0; s < schemes_; ++s) {
        double error = 0;
        for (const size_t cell : slice.cells) error += matrix.weights.errors[s * cells + cell];
        for (const size_t c : slice.components) {
          std::vector<double>& own = values[place(c, s)];
          own.resize(by_probe.size());
          for (size_t p = 0; p < by_probe.size(); ++p)
            for (const size_t cell : slice.cells)
              own[p] += by_probe[p][cell] * error / static_cast<double>(slice.slice.size());
        }
      }
  }
  for (size_t i = 0; i < pairs; ++i)
    hessian_[i * domains_ + domain] = ratio_estimate(values[i], std::vector<double>(values[i].size(), 1));
}

ComponentSums ScreenSums::of(size_t component, size_t scheme, size_t domain) const {
  ComponentSums sums;
  const bool rows = !no_rows_[component];
  const size_t pair = place(component, scheme), first = pair * windows_.size();
  std::map<int64_t, size_t> row_of;  // copies say nothing new: one row for all of them
  for (size_t w = 0; w < windows_.size(); ++w) {
    const ScreenWindow& window = windows_[w];
    if (window.domain != domain) continue;
    const auto [it, is_new] = row_of.try_emplace(window.cluster, sums.tokens.size());
    if (is_new) {
      for (auto* each : {&sums.tokens, &sums.positions, &sums.dots, &sums.directional, &sums.diagonal, &sums.fit})
        each->push_back(0);
      if (rows)
        for (auto* each : {&sums.kfac_twice, &sums.output_error}) each->push_back(0);
    }
    const size_t r = it->second, i = first + w;
    sums.tokens[r] += static_cast<double>(window.scored);
    sums.positions[r] += static_cast<double>(window.positions);
    sums.dots[r] += dots_[i];
    sums.directional[r] += dots_[i] * dots_[i] / 2;
    sums.diagonal[r] += diagonal_[i] / 2;
    sums.fit[r] += fit_[i];
    if (!rows) continue;
    sums.kfac_twice[r] += kfac_twice_[i];
    sums.output_error[r] += output_error_[i];
  }
  sums.weight_squares = weight_squares_[pair];
  sums.error_squares = error_squares_[pair];
  sums.error_products = error_products_[pair];
  if (rows) {
    double tokens = 0;
    for (const double t : sums.tokens) tokens += t;
    sums.top_eigenvalue = top_eigenvalue_[pair * domains_ + domain] / 2 / tokens;
  }
  if (!hessian_.empty()) sums.hessian = hessian_[pair * domains_ + domain];
  return sums;
}

}  // namespace vernier
