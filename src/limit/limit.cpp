// Reverse water-filling over the levels of damage spectra.

#include "vernier/limit.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace vernier {

namespace {

double log2_nats(int64_t level) { return static_cast<double>(level) / kLevelsPerOctave; }

/// `counts` from `first` upwards. Bits are spent from the highest level down until they are used up: between two levels
/// the rate falls linearly with the logarithm of the water's height.
double fill(int64_t first, const std::vector<double>& counts, double bits) {
  double above = 0, rate = 0, height = std::numeric_limits<double>::infinity();
  size_t i = counts.size();
  while (i > 0) {
    const double level = log2_nats(first + static_cast<int64_t>(i) - 1);
    if (above > 0) {
      const double more = above * (height - level) / 2;
      if (rate + more >= bits) break;
      rate += more;
    }
    height = level;
    above += counts[--i];
  }
  if (above == 0) return 0;
  height -= 2 * std::max(bits - rate, 0.0) / above;
  double nats = above * std::exp2(height);
  while (i > 0) {
    --i;
    nats += counts[i] * std::exp2(log2_nats(first + static_cast<int64_t>(i)));
  }
  return nats;
}

}  // namespace

double limit_kl(const DamageSpectrum& matrix, double bits) { return fill(matrix.first_level, matrix.directions, bits); }

double limit_kl(const Limit& limit, double bytes) {
  int64_t first = std::numeric_limits<int64_t>::max(), end = std::numeric_limits<int64_t>::min();
  for (const DamageSpectrum& m : limit.matrices) {
    if (m.directions.empty()) continue;
    first = std::min(first, m.first_level);
    end = std::max(end, m.first_level + static_cast<int64_t>(m.directions.size()));
  }
  if (first >= end) return 0;
  std::vector<double> all(static_cast<size_t>(end - first));
  for (const DamageSpectrum& m : limit.matrices)
    for (size_t i = 0; i < m.directions.size(); ++i)
      all[static_cast<size_t>(m.first_level - first) + i] += m.directions[i];
  return fill(first, all, 8 * bytes);
}

}  // namespace vernier
