#include "scheme/integer_format.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "scheme/half_float.h"
#include "scheme/packing.h"

namespace vernier {
namespace {

std::vector<uint32_t> words(std::span<const std::byte> bytes) {
  std::vector<uint32_t> out(bytes.size() / 4);
  std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

std::vector<std::byte> stored(const char* scheme, const std::vector<float>& weight, int64_t rows, int64_t cols) {
  std::vector<std::byte> out(Scheme::parse(scheme).bytes(rows, cols));
  encode(Scheme::parse(scheme), weight, rows, cols, {}, out);
  return out;
}

TEST(Packing, CodesCrossWords) {
  // Eleven 3-bit codes: the last starts at bit 30 and has its top bit in the second word.
  const std::vector<Code> codes = {1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 7};
  std::vector<std::byte> packed(packed_bytes(3, 11));
  pack_codes(codes, 3, packed.data());
  uint64_t expected = 0;
  for (size_t i = 0; i < codes.size(); ++i) expected |= static_cast<uint64_t>(codes[i]) << (3 * i);
  EXPECT_EQ(words(packed),
            (std::vector<uint32_t>{static_cast<uint32_t>(expected), static_cast<uint32_t>(expected >> 32)}));
  EXPECT_EQ(words(packed)[1], 1u);
}

TEST(Packing, EveryWidthComesBack) {
  std::mt19937 random(1);
  for (int bits = 1; bits <= 8; ++bits) {
    for (const size_t count : {1u, 7u, 31u, 32u, 33u, 64u, 101u}) {
      std::vector<Code> codes(count), back(count);
      for (Code& code : codes) code = static_cast<Code>(random() & ((1u << bits) - 1));
      std::vector<std::byte> packed(packed_bytes(bits, static_cast<int64_t>(count)));
      pack_codes(codes, bits, packed.data());
      unpack_codes(packed.data(), bits, back);
      EXPECT_EQ(codes, back) << bits << " bits, " << count;
      // One by one: what is at an index, and that its neighbours stay when it changes.
      const int64_t at = static_cast<int64_t>(count) / 2;
      codes[static_cast<size_t>(at)] ^= 1u;
      store_code(codes[static_cast<size_t>(at)], bits, at, packed.data());
      for (size_t i = 0; i < count; ++i)
        EXPECT_EQ(load_code(packed.data(), bits, static_cast<int64_t>(i)), codes[i]) << bits << " bits, " << i;
    }
  }
}

TEST(IntegerGrid, SymmetricFourBitsByHand) {
  // absmax 7.5: scale 1. Ties go to even: 2.5 -> 2, -1.5 -> -2; +7.5 clips to 7; codes are stored with 8 added.
  const std::vector<float> weight = {7.5f, -7.5f, 2.5f, -1.5f, 0.0f, 1.0f, -3.2f, 6.6f};
  const auto bytes = stored("int4:channel:sym", weight, 1, 8);
  ASSERT_EQ(bytes.size(), 6u);
  EXPECT_EQ(words(std::span(bytes).first(4)), (std::vector<uint32_t>{0xF5986A0F}));
  EXPECT_EQ(static_cast<int>(bytes[4]), 0x80);  // bf16 1.0 = 0x3f80
  EXPECT_EQ(static_cast<int>(bytes[5]), 0x3f);
  std::vector<float> values(8);
  decode(Scheme::parse("int4:channel:sym"), bytes, 1, 8, values);
  EXPECT_EQ(values, (std::vector<float>{7, -8, 2, -2, 0, 1, -3, 7}));
}

TEST(IntegerGrid, NoClippingVariantByHand) {
  const std::vector<float> weight = {7.0f, -7.0f, 3.4f, 0.0f};
  const auto bytes = stored("int4:tensor:sym7", weight, 2, 2);
  ASSERT_EQ(bytes.size(), 10u);
  EXPECT_EQ(words(std::span(bytes).first(8)), (std::vector<uint32_t>{0x1F, 0x8B}));  // a row is padded to a word
}

TEST(IntegerGrid, AsymmetricZeroPointsArePackedAlongRows) {
  // Two groups of two columns. Group 0 of row r spans 0 .. 3 (scale 1, zero point 0); group 1 spans -r .. 3 - r.
  const std::vector<float> weight = {0, 3, 0, 3, 0, 3, -1, 2, 0, 3, -2, 1, 0, 3, -3, 0};
  const auto bytes = stored("int2:g2:asym", weight, 4, 4);
  ASSERT_EQ(bytes.size(), 4u * 4 + 4 * 2 * 2 + 2 * 4);
  EXPECT_EQ(words(std::span(bytes).first(16)), (std::vector<uint32_t>(4, 0b11001100)));
  EXPECT_EQ(words(std::span(bytes).last(8)), (std::vector<uint32_t>{0, 0b11100100}));
  std::vector<float> values(16);
  decode(Scheme::parse("int2:g2:asym"), bytes, 4, 4, values);
  EXPECT_EQ(values, weight);
}

TEST(IntegerGrid, TheStoredScaleDecides) {
  // absmax 1 at 8 bits: 1 / 127.5 is not a bf16, the nearest is 129 / 2^14. Then 0.499 is 63.4 steps (63.6 unrounded).
  constexpr float kScale = 129.0f / 16384.0f;
  const std::vector<float> weight = {1.0f, 0.499f};
  const auto bytes = stored("int8:channel:sym", weight, 1, 2);
  EXPECT_EQ(bf16_to_float(static_cast<uint16_t>(static_cast<int>(bytes[4]) | static_cast<int>(bytes[5]) << 8)), kScale);
  std::vector<float> values(2);
  decode(Scheme::parse("int8:channel:sym"), bytes, 1, 2, values);
  EXPECT_EQ(values, (std::vector<float>{127 * kScale, 63 * kScale}));
}

/// Rows of different character: Gaussian, all positive, all negative, one outlier, flat.
std::vector<float> rows_of_all_kinds(int64_t cols) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0.0f, 0.02f);
  std::vector<float> weight;
  for (int row = 0; row < 5; ++row) {
    for (int64_t c = 0; c < cols; ++c) {
      const float x = normal(random);
      weight.push_back(row == 0 ? x : row == 1 ? std::fabs(x) : row == 2 ? -std::fabs(x) : row == 3 ? x : 0.01f);
    }
  }
  weight[static_cast<size_t>(3 * cols + 5)] = 1.5f;
  return weight;
}

TEST(IntegerGrid, ErrorIsAtMostHalfAStep) {
  constexpr int64_t kCols = 64;
  const std::vector<float> weight = rows_of_all_kinds(kCols);
  for (int bits = 2; bits <= 8; ++bits) {
    for (const char* granularity : {"tensor", "channel", "g16"}) {
      for (const char* symmetry : {"sym", "sym7", "asym"}) {
        const std::string name = "int" + std::to_string(bits) + ":" + granularity + ":" + symmetry;
        const Scheme scheme = Scheme::parse(name);
        const IntegerParameters parameters = integer_parameters(scheme).value();
        const int64_t group = parameters.group_size(kCols);
        std::vector<float> values(weight.size());
        round_trip(scheme, weight, 5, kCols, {}, values);
        for (size_t at = 0; at < weight.size(); ++at) {
          const bool whole = parameters.granularity == Granularity::kTensor;
          const size_t first = whole ? 0 : at / static_cast<size_t>(group) * static_cast<size_t>(group);
          const size_t count = whole ? weight.size() : static_cast<size_t>(group);
          float min = 0, max = 0;
          for (size_t i = first; i < first + count; ++i) {
            min = std::min(min, weight[i]);
            max = std::max(max, weight[i]);
          }
          const float step = bf16_to_float(fit_integer_grid(bits, parameters.symmetry, min, max).scale);
          // A scale rounded down (by 2^-9 at most) leaves the ends of the range beyond the last half step; an
          // asymmetric grid also moves by up to half a step when its zero point is rounded.
          const float slack =
              (max - min) * 0x1p-8f + (parameters.symmetry == Symmetry::kAsymmetric ? 0.5f * step : 0.0f);
          ASSERT_LE(std::fabs(values[at] - weight[at]), 0.5f * step + slack) << name << " at " << at;
        }
      }
    }
  }
}

TEST(IntegerGrid, ValuesOnAnUnclippedGridStayThere) {
  // Not so for `sym`: its largest code gives another absmax, hence another scale, by definition.
  const std::vector<float> weight = rows_of_all_kinds(64);
  for (const char* name : {"int2:sym7", "int4:g16:sym7", "int8:tensor:sym7", "int5:channel:sym7", "int2:asym",
                           "int4:g16:asym", "int4:tensor:asym"}) {
    std::vector<float> once(weight.size()), twice(weight.size());
    round_trip(Scheme::parse(name), weight, 5, 64, {}, once);
    round_trip(Scheme::parse(name), once, 5, 64, {}, twice);
    EXPECT_EQ(once, twice) << name;
  }
}

TEST(HalfFloat, EveryHalfComesBack) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float as_half = half_to_float(half), as_bf16 = bf16_to_float(half);
    if (std::isnan(as_half)) {
      EXPECT_TRUE(std::isnan(half_to_float(float_to_half(as_half))));
    } else {
      ASSERT_EQ(float_to_half(as_half), half);
    }
    if (std::isnan(as_bf16)) {
      EXPECT_TRUE(std::isnan(bf16_to_float(float_to_bf16(as_bf16))));
    } else {
      ASSERT_EQ(float_to_bf16(as_bf16), half);
    }
  }
}

TEST(HalfFloat, TiesGoToEven) {
  for (uint32_t bits = 0; bits < 0x7bff; ++bits) {  // halfway between neighbours, denormals included; exact in float
    const auto lower = static_cast<uint16_t>(bits), upper = static_cast<uint16_t>(bits + 1);
    const float middle = 0.5f * (half_to_float(lower) + half_to_float(upper));
    const uint16_t even = lower % 2 == 0 ? lower : upper;
    ASSERT_EQ(float_to_half(middle), even);
    ASSERT_EQ(float_to_half(std::nextafterf(middle, 0.0f)), lower);
    ASSERT_EQ(float_to_half(std::nextafterf(middle, 1e9f)), upper);
    ASSERT_EQ(float_to_half(-middle), even | 0x8000);
  }
  EXPECT_EQ(float_to_half(65519.9f), 0x7bff);
  EXPECT_EQ(float_to_half(65520.0f), 0x7c00);
  EXPECT_EQ(float_to_bf16(1.0f + 0x1p-8f), 0x3f80);
  EXPECT_EQ(float_to_bf16(1.0f + 3 * 0x1p-8f), 0x3f82);
  EXPECT_EQ(float_to_bf16(0x1.8p-133f), 0x0002) << "a denormal tie";
}

}  // namespace
}  // namespace vernier
