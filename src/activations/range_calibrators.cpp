#include "activations/range_calibrators.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/fail.h"
#include "ops/activation_rounding.h"

namespace vernier {

namespace {

constexpr int kFirstTried = 128;

double square_error(const LinearHistogram& histogram, double range, int bits) {
  const double most = static_cast<double>(largest_code(bits)), step = range / most;
  double error = 0;
  for (int k = 0; k < LinearHistogram::kBins; ++k) {
    const int64_t count = histogram.counts[static_cast<size_t>(k)];
    if (count == 0) continue;
    const double centre = histogram.centre(k);
    const double rounded = std::min(std::nearbyint(centre / step), most) * step;
    error += static_cast<double>(count) * (rounded - centre) * (rounded - centre);
  }
  return error;
}

}  // namespace

float range_of_least_error(const LinearHistogram& histogram, int bits) {
  if (histogram.count() == 0) return 0;
  double best = 0, least = std::numeric_limits<double>::infinity();
  for (int i = kFirstTried; i < LinearHistogram::kBins; ++i)
    if (const double error = square_error(histogram, histogram.centre(i), bits); error < least) {
      least = error;
      best = histogram.centre(i);
    }
  return static_cast<float>(best);
}

double divergence_of_levels(const std::vector<double>& counts, int bins, int bits) {
  const int levels = 1 << (bits - 1);
  std::vector<double> mass(static_cast<size_t>(levels), 0);
  std::vector<int> filled(static_cast<size_t>(levels), 0);
  const auto level_of = [&](int k) { return static_cast<size_t>(int64_t{k} * levels / bins); };
  double total = 0, clipped = 0;
  for (size_t k = 0; k < counts.size(); ++k) {
    total += counts[k];
    if (k >= static_cast<size_t>(bins)) clipped += counts[k];
  }
  for (int k = 0; k < bins; ++k)
    if (const double count = counts[static_cast<size_t>(k)]; count > 0) {
      mass[level_of(k)] += count;
      ++filled[level_of(k)];
    }
  const double kept = total - clipped;
  double divergence = 0;
  for (int k = 0; k < bins; ++k) {
    const double count = counts[static_cast<size_t>(k)];
    const double p = (count + (k + 1 == bins ? clipped : 0)) / total;
    if (p == 0) continue;
    if (count == 0) return std::numeric_limits<double>::infinity();
    const double q = mass[level_of(k)] / filled[level_of(k)] / kept;
    divergence += p * std::log(p / q);
  }
  return divergence;
}

float range_of_least_divergence(const LinearHistogram& histogram, int bits) {
  std::vector<double> counts(histogram.counts.begin(), histogram.counts.end());
  counts[0] = counts[1];  // values next to 0 are rounded to it by every range, and there are many
  if (std::all_of(counts.begin(), counts.end(), [](double count) { return count == 0; }))
    return static_cast<float>(histogram.count() == 0 ? 0 : histogram.range);
  double least = std::numeric_limits<double>::infinity();
  int best = LinearHistogram::kBins;
  for (int i = kFirstTried; i <= LinearHistogram::kBins; ++i)
    if (const double divergence = divergence_of_levels(counts, i, bits); divergence <= least) {
      least = divergence;
      best = i;
    }
  return static_cast<float>(best * histogram.width());
}

float static_range(ActivationGrid::Range kind, int bits, const LinearHistogram& histogram, double percentile) {
  switch (kind) {
    case ActivationGrid::Range::kLargest: return static_cast<float>(histogram.range);
    case ActivationGrid::Range::kPercentile: return static_cast<float>(percentile);
    case ActivationGrid::Range::kMse: return range_of_least_error(histogram, bits);
    case ActivationGrid::Range::kEntropy: return range_of_least_divergence(histogram, bits);
    case ActivationGrid::Range::kDynamic: break;
  }
  fail(ErrorKind::kInternal, "a dynamic grid has no static range");
}

}  // namespace vernier
