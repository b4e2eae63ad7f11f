#include "vernier/limit.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "limit/spectrum.h"

namespace vernier {
namespace {

/// A matrix of one row, a direction per damage.
DamageSpectrum spectrum_of(const std::vector<double>& nats) {
  DamageSpectrum m{"m", 1, static_cast<int64_t>(nats.size()), 1, 0, 0, {}};
  SpectrumCounter counter;
  for (const double each : nats) {
    counter.add(std::log2(each));
    m.total_nats += each;
  }
  counter.write(m);
  return m;
}

/// What the levels make of a sum of damage: at most this share too much.
constexpr double kLevels = 0.001;
/// Counts are kept to 1e-4 of a direction, here of 1,000.
constexpr double kDigits = 1e-8;

TEST(Limit, EqualVariancesAreTheGaussianRateDistortionFunction) {
  const std::vector<double> alike(1000, 0.3);  // between two levels
  const DamageSpectrum m = spectrum_of(alike);
  for (const double rate : {0.5, 1.0, 2.5, 4.0, 8.0})
    EXPECT_NEAR(limit_kl(m, 1000 * rate), 1000 * 0.3 * std::exp2(-2 * rate), kDigits * 300) << rate;
  EXPECT_NEAR(limit_kl(m, 0), 300, 300 * kLevels);
  EXPECT_NEAR(limit_kl(Limit{1, {m}}, 1000 * 2 / 8.0), 300 * std::exp2(-4), kDigits * 300) << "bytes";
}

TEST(Limit, TwoVariancesAreTheClosedForm) {
  // 100 directions of 4 nats and 300 of 1/16: until the first have rate log2(64) / 2 = 3 each, the others get nothing.
  std::vector<double> nats(100, 4.0);
  nats.insert(nats.end(), 300, 1.0 / 16);
  const DamageSpectrum m = spectrum_of(nats);
  for (const double bits : {10.0, 150.0, 300.0})
    EXPECT_NEAR(limit_kl(m, bits), 100 * 4 * std::exp2(-2 * bits / 100) + 300.0 / 16, 1e-9) << bits;
  for (const double bits : {300.0, 500.0, 4000.0})
    EXPECT_NEAR(limit_kl(m, bits), 400.0 / 16 * std::exp2(-2 * (bits - 300) / 400), 1e-9) << bits;
}

/// Bits are moved between directions until no move helps.
double brute_force(const std::vector<double>& nats, double bits) {
  std::vector<double> rates(nats.size(), bits / static_cast<double>(nats.size()));
  const auto damage = [&](size_t i) { return nats[i] * std::exp2(-2 * rates[i]); };
  for (double step = bits / 4; step > 1e-7;) {
    size_t give = 0, take = nats.size();
    for (size_t i = 0; i < nats.size(); ++i) {
      if (damage(i) > damage(give)) give = i;
      if (rates[i] > 0 && (take == nats.size() || damage(i) < damage(take))) take = i;
    }
    const double moved = std::min(step, rates[take]);
    const double before = damage(give) + damage(take);
    rates[give] += moved;
    rates[take] -= moved;
    if (damage(give) + damage(take) < before) continue;
    rates[give] -= moved;
    rates[take] += moved;
    step /= 2;
  }
  double sum = 0;
  for (size_t i = 0; i < nats.size(); ++i) sum += damage(i);
  return sum;
}

TEST(Limit, EqualsTheBestOfAllWaysToSpendBits) {
  std::mt19937_64 random(5);
  std::normal_distribution<double> log_nats(-8, 4);
  std::vector<double> nats(60);
  for (double& each : nats) each = std::exp(log_nats(random));
  const DamageSpectrum m = spectrum_of(nats);
  for (const double bits : {5.0, 40.0, 120.0, 300.0}) {
    const double best = brute_force(nats, bits);
    EXPECT_NEAR(limit_kl(m, bits), best, 0.003 * best)
        << bits << " bits; 60 directions, of which one lies at the water";
  }
}

TEST(Limit, MatricesShareTheBits) {
  const DamageSpectrum both = spectrum_of({4, 1, 0.25, 1e-3}), one = spectrum_of({4, 1}),
                       two = spectrum_of({0.25, 1e-3});
  for (const double bytes : {0.25, 1.0, 4.0})
    EXPECT_NEAR(limit_kl(Limit{1, {one, two}}, bytes), limit_kl(both, 8 * bytes), 1e-12);
  EXPECT_EQ(limit_kl(Limit{}, 10), 0);
  EXPECT_EQ(limit_kl(spectrum_of({}), 10), 0) << "an expert that no token got";
  EXPECT_EQ(limit_kl(Limit{1, {spectrum_of({}), one}}, 1), limit_kl(one, 8));
}

TEST(Limit, MoreBytesAreNeverWorse) {
  const DamageSpectrum m = spectrum_of({4, 1, 1, 1, 0.25, 1e-3, 1e-9, 1e-30});
  double last = limit_kl(m, 0);
  for (double bits = 0.25; bits < 200; bits += 0.25) {
    const double own = limit_kl(m, bits);
    EXPECT_LT(own, last) << bits;
    last = own;
  }
}

}  // namespace
}  // namespace vernier
