#include "activations/magnitudes.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace vernier {
namespace {

TEST(MagnitudeHistogram, QuantilesAreThoseOfTheValues) {
  at::manual_seed(1);
  at::Tensor x = at::randn({40001}).exp() * at::randn({40001});
  x[17] = 31000;
  MagnitudeHistogram all, rest;
  for (int64_t i = 0; i < x.numel(); ++i) (i < 12345 ? all : rest).add(x[i].item<float>());
  all.add(rest);
  EXPECT_EQ(all.count(), x.numel());
  const at::Tensor sorted = std::get<0>(x.abs().to(at::kDouble).sort());
  for (const double share : {0.0, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999}) {
    const double place = share * static_cast<double>(x.numel() - 1);
    const auto below = static_cast<int64_t>(place);
    const double low = sorted[below].item<double>(), high = sorted[std::min(below + 1, x.numel() - 1)].item<double>();
    const double known = low + (high - low) * (place - static_cast<double>(below));
    EXPECT_NEAR(all.quantile(share) / known, 1, 2.0 / 512) << share;
  }
  EXPECT_TRUE(std::isnan(MagnitudeHistogram().quantile(0.5)));
}

TEST(MagnitudeHistogram, HalfOctavesCountByMagnitude) {
  MagnitudeHistogram histogram;
  for (const float x : {1.0f, -1.2f, 1.5f, 4.0f, 0.0f, 1e-20f}) histogram.add(x);
  int first = -99;
  EXPECT_EQ(histogram.half_octaves(&first), (std::vector<int64_t>{2, 1, 0, 0, 1}));
  EXPECT_EQ(first, 0);
}

TEST(LinearHistogram, HasEqualBinsUpToItsRange) {
  LinearHistogram histogram{2048};
  for (const float x : {0.0f, 0.5f, -1.5f, 2047.5f, 2048.0f, -9000.0f}) histogram.add(x);
  EXPECT_EQ(histogram.counts[0], 2);
  EXPECT_EQ(histogram.counts[1], 1);
  EXPECT_EQ(histogram.counts[2047], 3);
  EXPECT_EQ(histogram.count(), 6);
  EXPECT_EQ(histogram.centre(1), 1.5);
}

}  // namespace
}  // namespace vernier
