#include "screen/gradient_pass.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <numeric>

#include "ops/parallel.h"
#include "screen/layer_backward.h"
#include "screen/output_pass.h"
#include "screen/streams.h"

namespace vernier {

namespace {

constexpr size_t kMostWindows = 32, kLeastWindows = 4;
constexpr size_t kMostBytes = size_t{2} << 30;

size_t windows_within(const Model& model, const std::vector<CalibrationWindow>& text) {
  size_t longest = 1;
  for (const CalibrationWindow& window : text) longest = std::max(longest, window.tokens.size());
  const size_t each = 2 * longest * static_cast<size_t>(model.config().hidden * model.config().depth()) * sizeof(float);
  return std::min(text.size(), std::clamp(kMostBytes / each, kLeastWindows, kMostWindows));
}

std::vector<TokenWindow> spread(const std::vector<CalibrationWindow>& text, const std::vector<size_t>& parts,
                                size_t count, std::vector<size_t>& own_parts) {
  std::vector<TokenWindow> windows;
  for (size_t i = 0; i < count; ++i) {
    const size_t place = i * text.size() / count;
    if (text[place].tokens.size() < 2) continue;
    windows.push_back({.tokens = text[place].tokens});
    own_parts.push_back(parts[place]);
  }
  return windows;
}

std::vector<ScreenWindow> screen_windows(const std::vector<TokenWindow>& tokens) {
  std::vector<ScreenWindow> windows;
  for (size_t w = 0; w < tokens.size(); ++w) {
    windows.push_back(screen_window(tokens[w]));
    windows.back().index = w;
  }
  return windows;
}

int64_t longest_of(const std::vector<ScreenWindow>& windows) {
  int64_t positions = 1;
  for (const ScreenWindow& window : windows) positions = std::max(positions, window.positions);
  return positions;
}

/// x x' of a window's rows, added to its part, of those that there are.
void add_rows(const at::Tensor& rows, size_t part, InputGrams& grams) {
  const at::Tensor x = rows.reshape({-1, rows.size(-1)});
  at::Tensor& sum = grams.parts[part];
  if (!sum.defined()) sum = at::zeros({x.size(1), x.size(1)});
  sum.addmm_(x.t(), x);
}

void divide(InputGrams& grams, const std::vector<double>& tokens, double scale) {
  grams.parts.resize(tokens.size());
  for (size_t part = 0; part < tokens.size(); ++part)
    if (at::Tensor& sum = grams.parts[part]; sum.defined())
      sum = (sum + sum.t()).mul_(scale / (2 * std::max(tokens[part], 1.0)));
}

}  // namespace

GradientPass::GradientPass(const Model& model, const std::vector<CalibrationWindow>& text,
                           const std::vector<size_t>& parts, int threads)
    : model_(model),
      threads_(threads),
      tokens_(spread(text, parts, windows_within(model, text), parts_)),
      part_count_(parts.empty() ? 0 : *std::ranges::max_element(parts) + 1),
      windows_(screen_windows(tokens_)),
      aten_(model, longest_of(windows_), AtenModel::Place{at::kCPU, at::kFloat, /*layer_by_layer=*/true}) {
  const c10::NoGradGuard no_grad;
  const int depth = model.config().depth();
  const ScreenOptions options;
  const Calibration unused;
  const std::vector<Scheme> schemes;
  const SchemeErrors errors(model, unused, schemes, threads);
  ScreenSums sums(model.config(), {}, windows_, 0, false);
  std::vector<ScreenedMatrix> matrices;
  Limit limit;  // asks for the sums of squared gradients
  const MemoryShares memory{.forward = threads,
                            .backward = threads,
                            .products = threads,
                            .streams_bytes = static_cast<int64_t>(kMostBytes),
                            .tile_bytes = static_cast<int64_t>(kMostBytes / 4)};
  const ScreenPass pass{model, aten_, errors, options, threads, memory, sums, matrices, nullptr, &limit};
  Streams streams(model, aten_, windows_, memory, {});
  const OutputGradients output = output_gradients(pass, streams.finals());
  std::vector<at::Tensor> gradients;
  for (const at::Tensor& state : output.states) gradients.push_back(state.unsqueeze(0));
  entering_.resize(static_cast<size_t>(depth));
  leaving_gradients_.resize(static_cast<size_t>(depth));
  for (int layer = depth - 1; layer >= 0; --layer) {
    const auto place = static_cast<size_t>(layer);
    entering_[place] = streams.entering(layer);
    leaving_gradients_[place] = gradients;
    const AtenBlock block = aten_.block(layer);
    parallel_for(static_cast<int64_t>(windows_.size()), threads, [&](int64_t i, int) {
      const auto w = static_cast<size_t>(i);
      gradients[w] = layer_backward(aten_, model.blueprint(), block, 0, entering_[place][w], gradients[w],
                                    [](const TensorId&, const at::Tensor&, const at::Tensor&) {});
    });
    model.release_pages();
  }
  std::vector<double> tokens(part_count_);
  for (InputGrams* grams : {&output_, &look_up_}) grams->parts.resize(part_count_);
  for (size_t w = 0; w < windows_.size(); ++w) {
    add_rows(streams.finals()[w], parts_[w], output_);
    add_rows(gradients[w], parts_[w], look_up_);
    tokens[parts_[w]] += static_cast<double>(windows_[w].positions);
  }
  const double squares = std::accumulate(output.label_squares.begin(), output.label_squares.end(), 0.0) /
                         std::accumulate(tokens.begin(), tokens.end(), 0.0);
  const double scale = model.config().embedding_scale;
  divide(output_, tokens, squares);
  divide(look_up_, tokens, scale * scale);
}

InputGrams GradientPass::tied() const {
  InputGrams sum = output_;
  for (size_t part = 0; part < sum.parts.size(); ++part)
    if (sum.parts[part].defined()) sum.parts[part] = sum.parts[part] + look_up_.parts[part];
  return sum;
}

InputGrams GradientPass::leaving(int layer) const {
  InputGrams grams;
  grams.parts.resize(part_count_);
  std::vector<double> tokens(part_count_);
  for (size_t w = 0; w < windows_.size(); ++w) {
    add_rows(leaving_gradients_[static_cast<size_t>(layer)][w], parts_[w], grams);
    tokens[parts_[w]] += static_cast<double>(windows_[w].positions);
  }
  divide(grams, tokens, 1);
  return grams;
}

const std::map<TensorId, InputGrams>& GradientPass::at(int layer) {
  if (layer == layer_) return grams_;
  grams_.clear();
  const auto place = static_cast<size_t>(layer);
  const AtenBlock block = aten_.block(layer);
  std::vector<std::map<TensorId, at::Tensor>> rows(windows_.size());
  std::vector<double> tokens(part_count_);
  const auto at_once = static_cast<size_t>(threads_);
  for (size_t first = 0; first < windows_.size(); first += at_once) {
    const size_t here = std::min(at_once, windows_.size() - first);
    parallel_for(static_cast<int64_t>(here), threads_, [&](int64_t i, int) {
      const size_t w = first + static_cast<size_t>(i);
      layer_backward(aten_, model_.blueprint(), block, 0, entering_[place][w], leaving_gradients_[place][w],
                     [&](const TensorId& id, const at::Tensor&, const at::Tensor& gradients) {
                       rows[w][id] = gradients.reshape({-1, gradients.size(-1)});
                     });
    });
    std::vector<TensorId> ids;
    for (size_t w = first; w < first + here; ++w) {
      tokens[parts_[w]] += static_cast<double>(windows_[w].positions);
      for (const auto& [id, gradients] : rows[w]) ids.push_back(id);
    }
    std::ranges::sort(ids);
    ids.erase(std::ranges::unique(ids).begin(), ids.end());
    for (const TensorId& id : ids) grams_[id].parts.resize(part_count_);  // made before threads look for them
    parallel_for(static_cast<int64_t>(ids.size() * part_count_), threads_, [&](int64_t i, int) {
      const c10::NoGradGuard no_grad;
      const TensorId& id = ids[static_cast<size_t>(i) / part_count_];
      const size_t part = static_cast<size_t>(i) % part_count_;
      for (size_t w = first; w < first + here; ++w)
        if (const auto own = rows[w].find(id); parts_[w] == part && own != rows[w].end())
          add_rows(own->second, part, grams_.at(id));
    });
    for (size_t w = first; w < first + here; ++w) rows[w].clear();
  }
  for (auto& [id, grams] : grams_) divide(grams, tokens, 1);
  layer_ = layer;
  return grams_;
}

}  // namespace vernier
