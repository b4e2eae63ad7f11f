#include "screen/channels.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "format/safetensors_writer.h"
#include "vernier/version.h"

namespace vernier {

namespace {

/// Place of each value among all, 0 for the smallest, 1 for the largest; equal values by their order.
std::vector<double> relative_ranks(const std::vector<float>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (size_t i = 0; i < order.size(); ++i)
    ranks[order[i]] = values.size() < 2 ? 0 : static_cast<double>(i) / static_cast<double>(values.size() - 1);
  return ranks;
}

std::vector<float> roots(const std::vector<double>& squares, double tokens) {
  std::vector<float> norms;
  for (const double square : squares) norms.push_back(static_cast<float>(std::sqrt(square / tokens)));
  return norms;
}

std::vector<std::vector<float>> damages(const std::vector<double>& diagonal, size_t schemes, double tokens) {
  std::vector<std::vector<float>> by_scheme(schemes);
  const size_t channels = diagonal.size() / schemes;
  for (size_t s = 0; s < schemes; ++s)
    for (size_t j = 0; j < channels; ++j)
      by_scheme[s].push_back(static_cast<float>(diagonal[s * channels + j] / 2 / tokens));
  return by_scheme;
}

}  // namespace

InputSums input_sums(const at::Tensor& inputs) {
  const at::Tensor size = inputs.abs();
  const at::Tensor sum = size.sum(0, /*keepdim=*/false, at::kDouble).contiguous();
  const at::Tensor largest = size.amax(0).contiguous();
  InputSums sums;
  sums.magnitudes.assign(sum.data_ptr<double>(), sum.data_ptr<double>() + sum.numel());
  sums.largest.assign(largest.data_ptr<float>(), largest.data_ptr<float>() + largest.numel());
  return sums;
}

ChannelTable::ChannelTable(const std::vector<ScreenWindow>& windows) : windows_(windows) {
  for (const ScreenWindow& window : windows) {
    tokens_.resize(std::max(tokens_.size(), window.domain + 1));
    positions_.resize(tokens_.size());
    tokens_[window.domain] += static_cast<double>(window.scored);
    positions_[window.domain] += static_cast<double>(window.positions);
  }
}

void ChannelTable::add(const TensorId& id, size_t window, const GradientSums& gradients, const InputSums* inputs) {
  Totals& totals = totals_[{id, windows_[window].domain}];
  if (totals.gradients.squares.empty())
    totals.gradients = gradients;
  else
    totals.gradients.add(gradients);
  if (inputs == nullptr) return;
  totals.inputs.magnitudes.resize(inputs->magnitudes.size());
  totals.inputs.largest.resize(inputs->largest.size());
  for (size_t j = 0; j < inputs->magnitudes.size(); ++j) {
    totals.inputs.magnitudes[j] += inputs->magnitudes[j];
    totals.inputs.largest[j] = std::max(totals.inputs.largest[j], inputs->largest[j]);
  }
}

std::vector<ChannelScores> ChannelTable::scores(size_t schemes) const {
  std::vector<ChannelScores> all;
  for (const auto& [place, totals] : totals_) {
    const auto& [id, domain] = place;
    ChannelScores scores;
    scores.tensor = id;
    scores.domain = static_cast<int>(domain);
    for (const double magnitude : totals.inputs.magnitudes)
      scores.mean_abs.push_back(static_cast<float>(magnitude / positions_[domain]));
    scores.abs_max = totals.inputs.largest;
    scores.input_gradient = roots(totals.gradients.col_squares, tokens_[domain]);
    scores.output_gradient = roots(totals.gradients.row_squares, tokens_[domain]);
    scores.input_damage = damages(totals.gradients.col_diagonal, schemes, tokens_[domain]);
    scores.output_damage = damages(totals.gradients.row_diagonal, schemes, tokens_[domain]);
    if (!scores.mean_abs.empty()) {
      scores.combined.assign(scores.mean_abs.size(), 0);
      for (const auto* each : {&scores.mean_abs, &scores.abs_max, &scores.input_gradient}) {
        const std::vector<double> ranks = relative_ranks(*each);
        for (size_t j = 0; j < ranks.size(); ++j) scores.combined[j] += static_cast<float>(ranks[j] / 3);
      }
    }
    all.push_back(std::move(scores));
  }
  return all;
}

void save_channels(const Screen& screen, const std::filesystem::path& path) {
  SafetensorsWriter writer;
  writer.set_metadata("schema_version", std::to_string(screen.schema_version));
  writer.set_metadata("tool_version", VERNIER_VERSION);
  writer.set_metadata("model_hash", screen.model_hash);
  std::vector<const std::vector<float>*> values;
  const auto add = [&](const std::string& name, const std::vector<float>& channel) {
    if (channel.empty()) return;
    writer.add(name, DType::kF32, {static_cast<int64_t>(channel.size())});
    values.push_back(&channel);
  };
  for (const ChannelScores& scores : screen.channels) {
    const std::string prefix =
        name_of(scores.tensor) + "." + screen.domains[static_cast<size_t>(scores.domain)].name + ".";
    add(prefix + "mean_abs", scores.mean_abs);
    add(prefix + "abs_max", scores.abs_max);
    add(prefix + "input_gradient", scores.input_gradient);
    add(prefix + "output_gradient", scores.output_gradient);
    add(prefix + "combined", scores.combined);
    for (size_t s = 0; s < screen.schemes.size(); ++s) {
      add(prefix + "input_damage." + screen.schemes[s], scores.input_damage[s]);
      add(prefix + "output_damage." + screen.schemes[s], scores.output_damage[s]);
    }
  }
  writer.write(path, [&](size_t index, const ByteSink& append) { append(std::as_bytes(std::span(*values[index]))); });
}

}  // namespace vernier
