#include "activations/site_sums.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace vernier {

namespace {

void fit_channels(ActivationSums& sums, size_t channels) {
  if (!sums.largest.empty()) return;
  sums.channel_magnitudes.assign(channels, 0);
  sums.largest.assign(channels, 0);
  sums.largest_after_first.assign(channels, 0);
  sums.outlier_rows.assign(channels, 0);
}

float largest_of(const std::vector<float>& values) {
  return values.empty() ? 0.0f : *std::max_element(values.begin(), values.end());
}

int64_t outlier_channels(const std::vector<float>& largest) {
  return std::count_if(largest.begin(), largest.end(), [](float value) { return value >= kOutlier; });
}

double median_of(std::vector<double> values) {
  // The lower of two in the middle, as PyTorch's median.
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

void ActivationSums::add(const Slab& x, bool positions) {
  fit_channels(*this, static_cast<size_t>(x.cols));
  for (int64_t r = 0; r < x.rows; ++r)
    for (int64_t j = 0; j < x.cols; ++j) {
      const float value = x.row(r)[j], magnitude = std::fabs(value);
      const double wide = value, square = wide * wide;
      const auto channel = static_cast<size_t>(j);
      sum += wide;
      squares += square;
      cubes += square * wide;
      fourths += square * square;
      channel_magnitudes[channel] += magnitude;
      largest[channel] = std::max(largest[channel], magnitude);
      if (!positions || r > 0) largest_after_first[channel] = std::max(largest_after_first[channel], magnitude);
      outlier_rows[channel] += magnitude >= kOutlier ? 1 : 0;
    }
  values += x.rows * x.cols;
  rows += x.rows;
}

void ActivationSums::add(const ActivationSums& other) {
  if (other.largest.empty()) return;
  fit_channels(*this, other.largest.size());
  values += other.values;
  rows += other.rows;
  sum += other.sum;
  squares += other.squares;
  cubes += other.cubes;
  fourths += other.fourths;
  for (size_t j = 0; j < largest.size(); ++j) {
    channel_magnitudes[j] += other.channel_magnitudes[j];
    largest[j] = std::max(largest[j], other.largest[j]);
    largest_after_first[j] = std::max(largest_after_first[j], other.largest_after_first[j]);
    outlier_rows[j] += other.outlier_rows[j];
  }
}

SiteFigures figures_of(const ActivationSums& sums, const MagnitudeHistogram& histogram) {
  SiteFigures figures;
  const auto n = static_cast<double>(sums.values);
  const double m = sums.sum / n, second = sums.squares / n, third = sums.cubes / n, fourth = sums.fourths / n;
  const double variance = second - m * m;
  figures.values = sums.values;
  figures.channels = static_cast<int64_t>(sums.largest.size());
  figures.mean = m;
  figures.mean_abs = std::accumulate(sums.channel_magnitudes.begin(), sums.channel_magnitudes.end(), 0.0) / n;
  figures.rms = std::sqrt(second);
  figures.kurtosis = (fourth - 4 * m * third + 6 * m * m * second - 3 * m * m * m * m) / (variance * variance);
  figures.abs_max = largest_of(sums.largest);
  figures.abs_max_after_first = largest_of(sums.largest_after_first);
  const auto quantile = [&](double share) {
    return std::min(histogram.quantile(share), static_cast<double>(figures.abs_max));
  };
  figures.median_abs = quantile(0.5);
  figures.p99 = quantile(0.99);
  figures.p99_9 = quantile(0.999);
  figures.p99_99 = quantile(0.9999);
  std::vector<double> channel_means = sums.channel_magnitudes;
  for (double& mean : channel_means) mean /= static_cast<double>(sums.rows);
  figures.channel_mean_abs = median_of(channel_means);
  figures.channels_from_6 = outlier_channels(sums.largest);
  figures.channels_from_6_after_first = outlier_channels(sums.largest_after_first);
  std::vector<int64_t> order(sums.largest.size());
  std::iota(order.begin(), order.end(), 0);
  const auto size = [&](int64_t j) { return sums.largest[static_cast<size_t>(j)]; };
  const auto shown = static_cast<std::ptrdiff_t>(std::min<size_t>(5, order.size()));
  std::partial_sort(order.begin(), order.begin() + shown, order.end(),
                    [&](int64_t a, int64_t b) { return size(a) != size(b) ? size(a) > size(b) : a < b; });
  for (auto j = order.begin(); j != order.begin() + shown; ++j) figures.peaks.push_back({*j, size(*j)});
  figures.histogram = histogram.half_octaves(&figures.first_half_octave);
  return figures;
}

}  // namespace vernier
