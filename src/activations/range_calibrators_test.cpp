#include "activations/range_calibrators.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

namespace vernier {
namespace {

LinearHistogram sample_histogram(double tail) {
  at::manual_seed(3);
  at::Tensor x = at::randn({200000});
  x[5] = tail;
  LinearHistogram histogram{x.abs().max().item<double>()};
  for (int64_t i = 0; i < x.numel(); ++i) histogram.add(x[i].item<float>());
  return histogram;
}

/// Model-Optimizer's _compute_amax_mse, written out: every candidate, every bin.
double brute_mse_range(const LinearHistogram& histogram, int bits) {
  double best = 0, least = std::numeric_limits<double>::infinity();
  for (int i = 128; i < 2048; ++i) {
    const double amax = (i + 0.5) * histogram.range / 2048, most = std::pow(2, bits - 1) - 1;
    double error = 0, total = 0;
    for (int k = 0; k < 2048; ++k) {
      const double centre = (k + 0.5) * histogram.range / 2048;
      const double code = std::min(std::max(std::nearbyint(centre * most / amax), -most), most);
      error += std::pow(code * amax / most - centre, 2) * static_cast<double>(histogram.counts[static_cast<size_t>(k)]);
      total += static_cast<double>(histogram.counts[static_cast<size_t>(k)]);
    }
    if (error / total < least * (1 - 1e-12)) {
      least = error / total;
      best = amax;
    }
  }
  return best;
}

/// Its _compute_amax_entropy: digitize, average over bins that are not empty, scipy's entropy of the normalized
/// densities.
double brute_entropy_range(const LinearHistogram& histogram, int bits) {
  std::vector<double> bins(histogram.counts.begin(), histogram.counts.end());
  bins[0] = bins[1];
  const int levels = 1 << (bits - 1);
  double least = std::numeric_limits<double>::infinity();
  int best = 0;
  for (int i = 128; i <= 2048; ++i) {
    std::vector<double> density(static_cast<size_t>(levels), 0), spread(static_cast<size_t>(i), 0),
        reference(bins.begin(), bins.begin() + i);
    std::vector<int> members(static_cast<size_t>(levels), 0), level(static_cast<size_t>(i), -1);
    for (int k = 0; k < i; ++k) {
      if (bins[static_cast<size_t>(k)] == 0) continue;
      int own = 0;  // the last edge of linspace(0, i, levels + 1) that is not above k
      while (own + 1 < levels && static_cast<double>(i) * (own + 1) / levels <= k) ++own;
      level[static_cast<size_t>(k)] = own;
      density[static_cast<size_t>(own)] += bins[static_cast<size_t>(k)];
      ++members[static_cast<size_t>(own)];
    }
    for (int k = 0; k < i; ++k)
      if (const int own = level[static_cast<size_t>(k)]; own >= 0)
        spread[static_cast<size_t>(k)] = density[static_cast<size_t>(own)] / members[static_cast<size_t>(own)];
    for (size_t k = static_cast<size_t>(i); k < 2048; ++k) reference.back() += bins[k];
    const double p_sum = std::accumulate(reference.begin(), reference.end(), 0.0),
                 q_sum = std::accumulate(spread.begin(), spread.end(), 0.0);
    double divergence = 0;
    for (size_t k = 0; k < reference.size(); ++k)
      if (reference[k] > 0) divergence += reference[k] / p_sum * std::log(reference[k] / p_sum / (spread[k] / q_sum));
    if (divergence <= least) {
      least = divergence;
      best = i;
    }
  }
  return best * histogram.range / 2048;
}

TEST(RangeCalibrators, FindWhatTryingEveryRangeFinds) {
  for (const double tail : {5.0, 40.0, 3500.0})
    for (const int bits : {8, 6, 4}) {
      const LinearHistogram histogram = sample_histogram(tail);
      EXPECT_NEAR(range_of_least_error(histogram, bits) / brute_mse_range(histogram, bits), 1, 1e-6)
          << tail << " " << bits;
      EXPECT_NEAR(range_of_least_divergence(histogram, bits) / brute_entropy_range(histogram, bits), 1, 1e-6)
          << tail << " " << bits;
    }
}

TEST(RangeCalibrators, ClipATailThatOneValueMakes) {
  const LinearHistogram histogram = sample_histogram(40);
  const float whole = static_range(ActivationGrid::Range::kLargest, 4, histogram, 3.9);
  EXPECT_EQ(whole, 40.0f);
  EXPECT_EQ(static_range(ActivationGrid::Range::kPercentile, 4, histogram, 3.9), 3.9f);
  EXPECT_LT(static_range(ActivationGrid::Range::kMse, 4, histogram, 3.9), 4.0f);
  EXPECT_LT(static_range(ActivationGrid::Range::kEntropy, 4, histogram, 3.9), 10.0f);
}

TEST(RangeCalibrators, OfNothingTheRangeIsNothing) {
  const LinearHistogram empty;
  EXPECT_EQ(range_of_least_error(empty, 8), 0);
  EXPECT_EQ(range_of_least_divergence(empty, 8), 0);
}

}  // namespace
}  // namespace vernier
