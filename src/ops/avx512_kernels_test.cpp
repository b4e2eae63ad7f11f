#include "ops/avx512_kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "ops/kernels.h"

namespace vernier {
namespace {

class BFloat16KernelsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    kernels_ = avx512_kernels(ComputeType::kBFloat16);
    if (kernels_ == nullptr) GTEST_SKIP() << "not on this processor";
  }
  const Avx512Kernels* kernels_ = nullptr;
};

TEST_F(BFloat16KernelsTest, RowsAreRoundedAsEverywhereElse) {
  std::vector<float> x;
  for (int i = 0; i < 4096; ++i)
    x.push_back(std::ldexp(1.0f + static_cast<float>(i) / 1024, i % 200 - 100) * (i % 3 - 1));
  std::vector<uint16_t> expected(x.size()), words(x.size());
  to_bfloat16(x.data(), expected.data(), static_cast<int64_t>(x.size()));
  kernels_->pack_row(x.data(), static_cast<int64_t>(x.size()), reinterpret_cast<uint32_t*>(words.data()));
  EXPECT_EQ(words, expected);
}

TEST_F(BFloat16KernelsTest, SiluIsFarCloserThanARoundingToBFloat16) {
  std::vector<float> gate, up, y;
  for (int i = -512; i < 512; ++i) {
    gate.push_back(0.3f * static_cast<float>(i));
    up.push_back(1 + static_cast<float>(i % 7));
  }
  y.resize(gate.size());
  kernels_->silu_multiply(gate.data(), up.data(), static_cast<int64_t>(gate.size()), y.data());
  for (size_t i = 0; i < gate.size(); ++i) {
    const double x = gate[i], exact = x / (1 + std::exp(-x)) * up[i];
    EXPECT_NEAR(y[i], exact, 1e-4 * std::abs(exact) + 1e-36) << x << ": denormal reciprocals are zero";
  }
}

TEST_F(BFloat16KernelsTest, GeluIsFarCloserThanARoundingToBFloat16) {
  std::vector<float> x;
  for (int i = -512; i < 512; ++i) x.push_back(0.02f * static_cast<float>(i));
  std::vector<float> y(x.size());
  kernels_->gelu(x.data(), static_cast<int64_t>(x.size()), y.data());
  for (size_t i = 0; i < x.size(); ++i) {
    const double exact = 0.5 * x[i] * std::erfc(-x[i] / std::sqrt(2.0));
    EXPECT_NEAR(y[i], exact, 2e-4 * std::abs(exact) + 2e-7 * std::abs(x[i])) << x[i];
  }
}

TEST_F(BFloat16KernelsTest, ExponentialsLeaveNothingOutsideTheirRange) {
  std::vector<float> s{5, 1, 2, 3, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9};
  const float sink = 0;
  const float sum = kernels_->exp_row(s.data(), 5, 1, 4, &sink);
  EXPECT_NEAR(sum, std::exp(-3.0) + std::exp(-2.0) + std::exp(-1.0) + 1, 1e-5);
  uint16_t words[6];
  std::memcpy(words, s.data(), sizeof(words));
  EXPECT_EQ(words[0], 0);
  EXPECT_EQ(words[3], 0x3F80) << "1 in bfloat16";
  EXPECT_EQ(words[4], 0);
  EXPECT_EQ(words[5], 0) << "the rest of the last word";
}

}  // namespace
}  // namespace vernier
