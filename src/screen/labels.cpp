#include "screen/labels.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "ops/kernels.h"

namespace vernier {

double RowTotals::log_total() const { return static_cast<double>(largest) + std::log(total); }

void bin_sums(const float* logits, int64_t count, float* largest, double* sums) {
  for (int64_t first = 0, bin = 0; first < count; first += kLabelBin, ++bin) {
    const int64_t n = std::min(kLabelBin, count - first);
    const float top = *std::max_element(logits + first, logits + first + n);
    std::array<float, kLabelBin> powers;
    exp_shifted(logits + first, top, powers.data(), n);
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(powers[static_cast<size_t>(i)]);
    largest[bin] = top;
    sums[bin] = sum;
  }
}

RowTotals combine_bins(const float* largest, const double* sums, int64_t bins) {
  RowTotals row;
  row.largest = *std::max_element(largest, largest + bins);
  for (int64_t b = 0; b < bins; ++b) row.total += sums[b] * std::exp(static_cast<double>(largest[b] - row.largest));
  return row;
}

LabelPlace place_label(double uniform, const RowTotals& row, const float* largest, const double* sums, int64_t bins) {
  double rest = uniform * row.total;
  int64_t last = 0;  // with any weight, in case rounding leaves a rest behind it
  for (int64_t b = 0; b < bins; ++b) {
    const double scale = std::exp(static_cast<double>(largest[b] - row.largest));
    const double weight = sums[b] * scale;
    if (rest < weight) return {b, rest / scale};
    rest -= weight;
    if (weight > 0) last = b;
  }
  return {last, sums[last]};
}

int64_t label_in_bin(const float* logits, int64_t count, float largest, double before) {
  int64_t last = 0;
  for (int64_t i = 0; i < count; ++i) {
    const double weight = std::exp(logits[i] - largest);
    if (before < weight) return i;
    before -= weight;
    if (weight > 0) last = i;
  }
  return last;
}

}  // namespace vernier
