#pragma once

// Next tokens drawn from the model's own distribution, by uniform_at: a row's random number depends on the seed and its
// place alone, so that labels are the same whoever draws them and in whatever order.

#include <cstdint>

namespace vernier {

/// Entries per bin of a distribution's running sum.
inline constexpr int64_t kLabelBin = 256;
inline int64_t label_bins(int64_t vocabulary) { return (vocabulary + kLabelBin - 1) / kLabelBin; }

/// The sum of exp(logit - largest) over the entries of each bin, and what they have in common.
struct RowTotals {
  float largest = 0;  ///< of all logits
  double total = 0;   ///< sum of exp(logit - largest)
  double log_total() const;
};

/// Bins of some of a row's logits (whole bins, but for the vocabulary's last): their largest logit, and the sum of
/// exp(logit - that).
void bin_sums(const float* logits, int64_t count, float* largest, double* sums);
/// All bins of a row together.
RowTotals combine_bins(const float* largest, const double* sums, int64_t bins);

/// Where the label of a row lies: the bin, and how much of the bin's own sum is before it.
struct LabelPlace {
  int64_t bin = 0;
  double before = 0;
};
LabelPlace place_label(double uniform, const RowTotals& row, const float* largest, const double* sums, int64_t bins);
/// The label inside its bin, counted from the bin's first entry; `largest` is the bin's.
int64_t label_in_bin(const float* logits, int64_t count, float largest, double before);

}  // namespace vernier
