#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "limit/spectrum.h"
#include "support/expect_error.h"
#include "vernier/limit.h"

namespace vernier {
namespace {

// Table 2 of Max, 1960, uniform output levels.
TEST(UniformQuantizer, IsThatOfTheTable) {
  EXPECT_NEAR(uniform_quantizer_error(2), 0.3634, 5e-5);
  EXPECT_NEAR(uniform_quantizer_error(3), 0.1902, 5e-5);
  EXPECT_NEAR(uniform_quantizer_error(4), 0.1188, 5e-5);
  EXPECT_NEAR(uniform_quantizer_error(8), 0.03744, 5e-6);
  EXPECT_NEAR(uniform_quantizer_error(16), 0.01154, 5e-6);
  EXPECT_NEAR(uniform_quantizer_error(32), 0.003495, 5e-7);
  EXPECT_NEAR(uniform_quantizer_error(15), 0.012889, 5e-7) << "not in the table: by numerical integration";
  EXPECT_EQ(uniform_quantizer_error(1), 1);
  double last = 1;
  for (int64_t levels = 2; levels <= 4096; levels *= 2) {
    EXPECT_LT(uniform_quantizer_error(levels), last);
    last = uniform_quantizer_error(levels);
  }
}

/// 8 rows of 256 whose directions cost between 1 and 2^-10 times `top`.
DamageSpectrum matrix(const std::string& name, double top) {
  DamageSpectrum m{name, 8, 256, 1, 0, 0, {}};
  SpectrumCounter counter;
  for (int i = 0; i < 8 * 256; ++i) {
    const double log2_nats = std::log2(top) - 10.0 * i / (8 * 256);
    counter.add(log2_nats);
    m.total_nats += std::exp2(log2_nats);
  }
  counter.write(m);
  return m;
}

TEST(LimitShares, MultiplyToTheRatio) {
  const Limit limit{100, {matrix("a", 1e-3), matrix("b", 1e-5)}};
  const LimitShares s = limit_shares(limit, {{"a", "gguf:q6_k"}, {"b", "gguf:q4_k"}}, 0.01);
  EXPECT_EQ(s.limit_nats, limit_kl(limit, 8 * (210 + 144)));
  EXPECT_NEAR(s.ratio() * s.limit_nats, 0.01, 1e-12);
  EXPECT_EQ(s.scalar_grid, std::numbers::pi * std::numbers::e / 6);
  for (const double share : {s.scales, s.types, s.directions, s.fixed_rate}) EXPECT_GE(share, 1);
  // 18 and 16 bytes of a block hold no codes.
  EXPECT_NEAR(s.scales, std::exp2(2 * 8 * 8 * (18 + 16) / (2.0 * 8 * 256)), 1e-2);
}

TEST(LimitShares, OneTypeForAllCostsWhatUnlikeTensorsAsk) {
  const Limit limit{100, {matrix("a", 1e-3), matrix("b", 1e-3 / 256)}};
  const double same = limit_shares(limit, {{"a", "gguf:q5_k"}, {"b", "gguf:q5_k"}}, 0.01).types;
  const double apart = limit_shares(limit, {{"a", "gguf:q6_k"}, {"b", "gguf:q4_k"}}, 0.01).types;
  // The optimum is 4 bits apart: (2^4 + 2^-4) / 2 and (2^2 + 2^-2) / 2.
  EXPECT_NEAR(same, 8.03, 0.02);
  EXPECT_NEAR(apart, 2.125, 0.02);
}

TEST(LimitShares, WhiteDirectionsHaveNothingToLose) {
  DamageSpectrum m{"a", 8, 256, 1, 8 * 256 * 0.25, -2 * kLevelsPerOctave, {8 * 256}};
  const LimitShares s = limit_shares({100, {m}}, {{"a", "gguf:q4_0"}}, 1);
  EXPECT_NEAR(s.types, 1, 1e-12);
  EXPECT_NEAR(s.directions, 1, 1e-12);
  EXPECT_NEAR(s.scales, std::exp2(2 * 0.5), 1e-9) << "half a bit of 4.5";
  EXPECT_NEAR(s.fixed_rate, 0.01154 * 256 / s.scalar_grid, 1e-3);
}

TEST(LimitShares, RefusesWhatIsNotTheSameModel) {
  const Limit limit{100, {matrix("a", 1e-3), matrix("b", 1e-5)}};
  expect_error(ErrorKind::kInvalidArgument, {"b"}, [&] { limit_shares(limit, {{"a", "f16"}}, 1); });
  expect_error(ErrorKind::kInvalidArgument, {"c", "of this model"}, [&] { limit_shares(limit, {{"c", "f16"}}, 1); });
  expect_error(ErrorKind::kInvalidArgument, {"a", "twice"}, [&] {
    limit_shares(limit, {{"a", "f16"}, {"a", "f16"}}, 1);
  });
}

}  // namespace
}  // namespace vernier
