#include "reliability/confidence_figures.h"

#include <cmath>

namespace vernier {

namespace {

struct BinGaps {
  double total = 0, greatest = 0;  // of |accuracy - confidence|, weighted and not
};

/// @param gap, weight per bin: sums of weight times (correct - confidence), and of weights
BinGaps gaps_of(const std::vector<double>& gap, const std::vector<double>& weight) {
  BinGaps result;
  for (size_t b = 0; b < gap.size(); ++b)
    if (weight[b] > 0) {
      result.total += std::abs(gap[b]);
      result.greatest = std::fmax(result.greatest, std::abs(gap[b]) / weight[b]);
    }
  return result;
}

}  // namespace

const std::vector<ConfidenceFigureRow>& confidence_figure_rows() {
  static const std::vector<ConfidenceFigureRow> rows{
      {"accuracy", "accuracy", "share", Worse::kLower, true},
      {"confidence", "mean confidence", "share", Worse::kNeither, true},
      {"ece", "expected calibration error", "share", Worse::kHigher, true},
      {"ece_signed", "confidence less accuracy", "share", Worse::kNeither, true, -1},
      {"ece_equal_mass", "calibration error, bins of equal mass", "share", Worse::kHigher, false},
      // The worst of fifteen: its paired interval of 95% covers 79%, so that nothing is called better or worse by it.
      {"mce", "calibration error of the worst bin", "share", Worse::kNeither, false},
      {"brier", "Brier score", "", Worse::kHigher, false},
      {"loss_nats", "loss", "nats", Worse::kHigher, true},
  };
  return rows;
}

ConfidenceFigures::ConfidenceFigures(const Predictions& predictions, int bins)
    : predictions_(predictions),
      bins_(static_cast<size_t>(bins)),
      by_width_(bins_of(predictions.confidence, {bins, Binning::kEqualWidth})),
      by_mass_(bins_of(predictions.confidence, {bins, Binning::kEqualMass})) {}

void ConfidenceFigures::of(std::span<const double> weights, std::span<double> out) const {
  std::vector<double> width_gap(bins_, 0.0), width_weight(bins_, 0.0), mass_gap(bins_, 0.0), mass_weight(bins_, 0.0);
  double total = 0, correct = 0, confidence = 0, brier = 0, loss = 0;
  for (size_t i = 0; i < predictions_.size(); ++i) {
    const double w = weights[i];
    if (w == 0) continue;
    const double gap = w * (predictions_.correct[i] - predictions_.confidence[i]);
    total += w;
    correct += w * predictions_.correct[i];
    confidence += w * predictions_.confidence[i];
    brier += w * predictions_.brier[i];
    loss += w * predictions_.loss_nats[i];
    width_gap[static_cast<size_t>(by_width_[i])] += gap;
    width_weight[static_cast<size_t>(by_width_[i])] += w;
    mass_gap[static_cast<size_t>(by_mass_[i])] += gap;
    mass_weight[static_cast<size_t>(by_mass_[i])] += w;
  }
  const BinGaps width = gaps_of(width_gap, width_weight), mass = gaps_of(mass_gap, mass_weight);
  const double sums[] = {correct, confidence, width.total, confidence - correct, mass.total, 0, brier, loss};
  for (size_t f = 0; f < out.size(); ++f) out[f] = sums[f] / total;
  out[5] = total > 0 ? width.greatest : NAN;
}

}  // namespace vernier
