#include "vernier/confidence_calibration.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/fail.h"

namespace vernier {

namespace {

constexpr double kMostTemperature = 1e3;
constexpr double kNotANumber = std::numeric_limits<double>::quiet_NaN();

void check_logits(std::span<const float> logits, int64_t classes, std::span<const int32_t> labels) {
  if (classes < 2 || logits.size() != labels.size() * static_cast<size_t>(classes))
    fail(ErrorKind::kInvalidArgument,
         "confidence: {} logits, expected those of {} labels by {} classes, which are at least 2", logits.size(),
         labels.size(), classes);
  for (size_t i = 0; i < labels.size(); ++i)
    if (labels[i] < 0 || labels[i] >= classes)
      fail(ErrorKind::kInvalidArgument, "confidence: example {} has label {}, expected 0 to {}", i, labels[i],
           classes - 1);
  const auto bad = std::find_if(logits.begin(), logits.end(), [](float z) { return !std::isfinite(z); });
  if (bad != logits.end())
    fail(ErrorKind::kInvalidArgument, "confidence: example {} has a logit that is no finite number",
         (bad - logits.begin()) / classes);
}

double weighted_mean(std::span<const double> values, std::span<const double> weights) {
  double sum = 0, total = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const double weight = weights.empty() ? 1 : weights[i];
    sum += weight * values[i], total += weight;
  }
  return total > 0 ? sum / total : kNotANumber;
}

int32_t width_bin(double confidence, int bins) {
  const double up = std::ceil(confidence * bins) - 1;  // (low, high]; 0 itself belongs to the first
  return static_cast<int32_t>(std::clamp<double>(up, 0, bins - 1));
}

/// d/d(1/T) of the mean loss: the mean of E_p[z] - z_right, which grows with 1/T.
double loss_slope(std::span<const float> logits, size_t classes, std::span<const int32_t> labels, double inverse) {
  double sum = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto row = logits.subspan(i * classes, classes);
    const double greatest = *std::max_element(row.begin(), row.end());
    double total = 0, mean = 0;
    for (const float z : row) {
      const double p = std::exp(inverse * (z - greatest));
      total += p, mean += p * (z - greatest);
    }
    sum += mean / total - (row[static_cast<size_t>(labels[i])] - greatest);
  }
  return sum;
}

}  // namespace

void Predictions::add(std::span<const float> logits, int32_t label, double temperature, bool keep) {
  const auto greatest = std::max_element(logits.begin(), logits.end());
  double total = 0, squares = 0;
  for (const float z : logits) {
    const double p = std::exp((static_cast<double>(z) - *greatest) / temperature);
    total += p, squares += p * p;
  }
  const double right = (static_cast<double>(logits[static_cast<size_t>(label)]) - *greatest) / temperature;
  confidence.push_back(1 / total);
  correct.push_back(greatest - logits.begin() == label ? 1 : 0);
  loss_nats.push_back(std::log(total) - right);
  brier.push_back(squares / (total * total) - 2 * std::exp(right) / total + 1);
  if (!keep) return;
  for (const float z : logits)
    probabilities.push_back(static_cast<float>(std::exp((static_cast<double>(z) - *greatest) / temperature) / total));
  labels.push_back(label);
}

Predictions predictions_of_logits(std::span<const float> logits, int64_t classes, std::span<const int32_t> labels,
                                  double temperature) {
  check_logits(logits, classes, labels);
  Predictions predictions;
  predictions.classes = classes;
  const auto width = static_cast<size_t>(classes);
  for (size_t i = 0; i < labels.size(); ++i)
    predictions.add(logits.subspan(i * width, width), labels[i], temperature, true);
  return predictions;
}

std::vector<int32_t> bins_of(std::span<const double> confidence, const BinOptions& options) {
  if (options.bins < 1) fail(ErrorKind::kInvalidArgument, "confidence: {} bins, expected at least 1", options.bins);
  std::vector<int32_t> result(confidence.size());
  for (size_t i = 0; i < confidence.size(); ++i) {
    if (!(confidence[i] >= 0 && confidence[i] <= 1 + 1e-9))
      fail(ErrorKind::kInvalidArgument, "confidence: example {} has {}, expected 0 to 1", i, confidence[i]);
    result[i] = width_bin(confidence[i], options.bins);
  }
  if (options.binning == Binning::kEqualWidth) return result;
  std::vector<size_t> order(confidence.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return confidence[a] < confidence[b]; });
  const auto bins = static_cast<size_t>(options.bins);
  const size_t each = order.size() / bins, longer = order.size() % bins;
  size_t next = 0;
  for (size_t b = 0; b < bins; ++b)
    for (size_t k = 0; k < each + (b < longer ? 1 : 0); ++k) result[order[next++]] = static_cast<int32_t>(b);
  return result;
}

std::vector<ConfidenceBin> reliability_bins(const Predictions& predictions, const BinOptions& options,
                                            std::span<const double> weights) {
  const std::vector<int32_t> bin_of = bins_of(predictions.confidence, options);
  std::vector<ConfidenceBin> bins(static_cast<size_t>(options.bins));
  const bool by_width = options.binning == Binning::kEqualWidth;
  for (size_t b = 0; b < bins.size(); ++b) {
    bins[b].low = by_width ? static_cast<double>(b) / options.bins : kNotANumber;
    bins[b].high = by_width ? static_cast<double>(b + 1) / options.bins : kNotANumber;
  }
  for (size_t i = 0; i < bin_of.size(); ++i) {
    ConfidenceBin& bin = bins[static_cast<size_t>(bin_of[i])];
    const double weight = weights.empty() ? 1 : weights[i], confidence = predictions.confidence[i];
    bin.weight += weight;
    bin.confidence += weight * confidence;
    bin.accuracy += weight * predictions.correct[i];
    if (!by_width) bin.low = std::fmin(bin.low, confidence), bin.high = std::fmax(bin.high, confidence);
  }
  for (ConfidenceBin& bin : bins) {
    bin.confidence = bin.weight > 0 ? bin.confidence / bin.weight : kNotANumber;
    bin.accuracy = bin.weight > 0 ? bin.accuracy / bin.weight : kNotANumber;
  }
  return bins;
}

namespace {

/// Sum over bins that are not empty of weight times `term`, per weight.
template <class Term>
double mean_over_bins(std::span<const ConfidenceBin> bins, Term term) {
  double sum = 0, total = 0;
  for (const ConfidenceBin& bin : bins)
    if (bin.weight > 0) sum += bin.weight * term(bin), total += bin.weight;
  return total > 0 ? sum / total : kNotANumber;
}

}  // namespace

double expected_calibration_error(std::span<const ConfidenceBin> bins) {
  return mean_over_bins(bins, [](const ConfidenceBin& bin) { return std::abs(bin.accuracy - bin.confidence); });
}

double signed_calibration_error(std::span<const ConfidenceBin> bins) {
  return mean_over_bins(bins, [](const ConfidenceBin& bin) { return bin.confidence - bin.accuracy; });
}

double maximum_calibration_error(std::span<const ConfidenceBin> bins) {
  double greatest = kNotANumber;
  for (const ConfidenceBin& bin : bins)
    if (bin.weight > 0) greatest = std::fmax(greatest, std::abs(bin.accuracy - bin.confidence));
  return greatest;
}

double classwise_calibration_error(const Predictions& predictions, int bins, std::span<const double> weights) {
  const auto classes = static_cast<size_t>(predictions.classes);
  if (classes == 0 || predictions.probabilities.empty()) return kNotANumber;
  const auto count = static_cast<size_t>(bins);
  std::vector<double> gap(classes * count, 0.0);  // weight times (is this class - probability)
  double total = 0;
  for (size_t i = 0; i < predictions.size(); ++i) {
    const double weight = weights.empty() ? 1 : weights[i];
    total += weight;
    for (size_t c = 0; c < classes; ++c) {
      const double p = predictions.probabilities[i * classes + c];
      const double is = predictions.labels[i] == static_cast<int32_t>(c) ? 1 : 0;
      gap[c * count + static_cast<size_t>(width_bin(p, bins))] += weight * (is - p);
    }
  }
  double sum = 0;
  for (const double g : gap) sum += std::abs(g);
  return total > 0 ? sum / total / static_cast<double>(classes) : kNotANumber;
}

double brier_score(const Predictions& predictions, std::span<const double> weights) {
  return weighted_mean(predictions.brier, weights);
}

double mean_loss_nats(const Predictions& predictions, std::span<const double> weights) {
  return weighted_mean(predictions.loss_nats, weights);
}

double fit_temperature(std::span<const float> logits, int64_t classes, std::span<const int32_t> labels) {
  check_logits(logits, classes, labels);
  double low = -std::log(kMostTemperature), high = std::log(kMostTemperature);  // of 1/T
  for (int step = 0; step < 60; ++step) {
    const double middle = (low + high) / 2;
    (loss_slope(logits, static_cast<size_t>(classes), labels, std::exp(middle)) < 0 ? low : high) = middle;
  }
  return std::exp(-(low + high) / 2);
}

namespace {

/// Every other example of each class, so that both halves have all classes whatever the order; classes of odd numbers
/// take turns in which half has one more.
std::vector<size_t> halves_of(std::span<const int32_t> labels) {
  std::vector<size_t> by_class(labels.size()), half(labels.size());
  std::iota(by_class.begin(), by_class.end(), size_t{0});
  std::stable_sort(by_class.begin(), by_class.end(), [&](size_t a, size_t b) { return labels[a] < labels[b]; });
  for (size_t place = 0; place < by_class.size(); ++place) half[by_class[place]] = place % 2;
  return half;
}

}  // namespace

Refit refit_temperature(std::span<const float> logits, int64_t classes, std::span<const int32_t> labels) {
  check_logits(logits, classes, labels);
  if (labels.size() < 2)
    fail(ErrorKind::kInvalidArgument, "confidence: {} examples, expected at least 2 to refit on a half", labels.size());
  const auto width = static_cast<size_t>(classes);
  const std::vector<size_t> half_of = halves_of(labels);
  std::vector<float> half[2];
  std::vector<int32_t> right[2];
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto row = logits.subspan(i * width, width);
    half[half_of[i]].insert(half[half_of[i]].end(), row.begin(), row.end());
    right[half_of[i]].push_back(labels[i]);
  }
  Refit refit{fit_temperature(half[0], classes, right[0]), fit_temperature(half[1], classes, right[1]), {}};
  refit.predictions.classes = classes;
  for (size_t i = 0; i < labels.size(); ++i)
    refit.predictions.add(logits.subspan(i * width, width), labels[i],
                          half_of[i] == 0 ? refit.temperature_of_odd : refit.temperature_of_even, true);
  return refit;
}

}  // namespace vernier
