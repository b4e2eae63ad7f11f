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

class WeighTest : public ::testing::TestWithParam<ComputeType> {
 protected:
  static constexpr int64_t kQueries = 3 * Avx512Kernels::kRows, kKeys = 2 * Avx512Kernels::kColumns;

  void SetUp() override {
    kernels_ = avx512_kernels(GetParam());
    if (kernels_ == nullptr) GTEST_SKIP() << "not on this processor";
  }
  bool is_narrow() const { return kernels_->values_per_word == 2; }

  /// Queries and keys with one value each that is not zero, and the same in bfloat16: their products are the scores.
  void fill(int64_t words) {
    q_.assign(static_cast<size_t>(kQueries * words), 0);
    k_.assign(static_cast<size_t>(kKeys * words), 0);
    scores_.clear();
    for (int64_t r = 0; r < kQueries; ++r) {
      const float x = static_cast<float>(5 * (r - 8));
      put(x, &q_[static_cast<size_t>(r * words + words - 1)]);
      for (int64_t key = 0; key < kKeys; ++key) {
        const float y = static_cast<float>(key + 1) / 64;
        if (r == 0) {
          const int64_t block = key / Avx512Kernels::kColumns * Avx512Kernels::kColumns;
          put(y, &k_[static_cast<size_t>(block * words + (words - 1) * Avx512Kernels::kColumns + key - block)]);
        }
        scores_.push_back(static_cast<double>(x) * y);
      }
    }
  }
  void put(float x, uint32_t* word) const {
    std::memcpy(word, &x, sizeof(x));
    if (is_narrow()) *word >>= 16;
  }
  /// Of the words that start at `row`.
  float weight(const uint32_t* row, int64_t key) const {
    const uint32_t bits = is_narrow() ? row[key / 2] >> (key % 2 * 16) << 16 : row[key];
    float value;
    std::memcpy(&value, &bits, sizeof(value));
    return value;
  }

  const Avx512Kernels* kernels_ = nullptr;
  std::vector<uint32_t> q_, k_;
  std::vector<double> scores_;
};

// Seven words are fewer than there are vectors to weigh meanwhile.
TEST_P(WeighTest, WeightsArePowersOfTwoOfScoresAndSumsAreTheirs) {
  const double most = is_narrow() ? 0x1p-8 + 1.3e-4 : 2e-7;  // half of the last of 8 bits, and the polynomial
  for (const int64_t words : {7, 64}) {
    fill(words);
    constexpr int64_t kStride = kKeys + 16;
    std::vector<uint32_t> out(kQueries * kStride);
    std::vector<float> sums(kQueries * Avx512Kernels::kVector, 0.0f);
    kernels_->weigh_seen(q_.data(), kQueries, k_.data(), words, kKeys, out.data(), kStride, sums.data());
    for (int64_t r = 0; r < kQueries; ++r) {
      double sum = 0, lanes = 0;
      for (int64_t key = 0; key < kKeys; ++key) {
        const double exact = std::exp2(scores_[static_cast<size_t>(r * kKeys + key)]);
        const float w = weight(out.data() + r * kStride, key);
        EXPECT_NEAR(w, exact, most * exact) << "query " << r << ", key " << key;
        sum += w;
      }
      for (int64_t i = 0; i < Avx512Kernels::kVector; ++i)
        lanes += sums[static_cast<size_t>(r * Avx512Kernels::kVector + i)];
      EXPECT_NEAR(lanes, sum, 1e-6 * sum) << "query " << r;
    }
  }
}

TEST_P(WeighTest, AQueryThatSeesSomeKeysHasTheSameWeightsForThese) {
  constexpr int64_t kWords = 16, kStride = kKeys + 16, kRows = Avx512Kernels::kRows, kSome = 48;
  fill(kWords);
  std::vector<uint32_t> all(kQueries * kStride), some(kRows * kStride);
  std::vector<float> sums(kQueries * Avx512Kernels::kVector, 0.0f);
  kernels_->weigh_seen(q_.data(), kQueries, k_.data(), kWords, kKeys, all.data(), kStride, sums.data());
  kernels_->weigh(q_.data(), kWords, k_.data(), kWords, kSome, /*seen=*/40, /*more=*/1, some.data(), kStride,
                  sums.data());
  for (int64_t r = 0; r < kRows; ++r)
    for (int64_t key = 0; key < kSome; ++key)
      EXPECT_EQ(weight(some.data() + r * kStride, key), key < 40 + r ? weight(all.data() + r * kStride, key) : 0.0f)
          << "query " << r << ", key " << key;
}

INSTANTIATE_TEST_SUITE_P(Types, WeighTest, ::testing::Values(ComputeType::kFloat32, ComputeType::kBFloat16));

}  // namespace
}  // namespace vernier
