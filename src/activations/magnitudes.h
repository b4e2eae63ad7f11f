#pragma once

// Histograms of magnitudes. MagnitudeHistogram has bins of 1/512 of an octave, so that one pass gives any percentile of
// any site to 0.1%; LinearHistogram is what range calibrators search.

#include <cstdint>
#include <vector>

namespace vernier {

class MagnitudeHistogram {
 public:
  /// Of one more value, from one thread.
  void add(float x);
  void add(const MagnitudeHistogram& other);
  int64_t count() const { return count_; }
  /// The share-th quantile of the magnitudes, 0 to 1, as numpy's linear one; within a bin values count as evenly
  /// spread. NaN of none.
  double quantile(double share) const;
  /// Counts by half octaves from 2^(first/2): the first that is not empty. Smaller than 2^-32 is in none.
  std::vector<int64_t> half_octaves(int* first) const;

 private:
  static constexpr int kPerOctave = 512, kLowest = -32, kHighest = 20;
  double at_rank(int64_t rank) const;

  std::vector<int64_t> bins_;  // empty until the first value; the first bin holds what is below 2^-32
  int64_t count_ = 0;
};

/// Equal bins over [0, range]; what is beyond belongs to the last.
/// @source NVIDIA Model-Optimizer, histogram.py: 2,048 bins. Its width comes from the first batch and is kept when
/// later ones
///         reach further; here the range of the whole text is known first, so that the order of the text does not matter.
struct LinearHistogram {
  static constexpr int kBins = 2048;
  double range = 0;
  std::vector<int64_t> counts = std::vector<int64_t>(kBins, 0);

  double width() const { return range / kBins; }
  double centre(int i) const { return (i + 0.5) * width(); }
  void add(float x);
  void add(const LinearHistogram& other);
  int64_t count() const;
};

}  // namespace vernier
