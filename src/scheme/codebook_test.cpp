// The codebooks of several weights against all that they hold, tried one by one.

#include "scheme/codebook.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "scheme/codebook_points.h"

namespace vernier {
namespace {

struct BookCase {
  const char* name;
  std::span<const uint16_t> points;
  std::vector<float> magnitudes;
  Codebook::Signs signs;
};

std::vector<BookCase> book_cases() {
  const std::vector<float> three = {8, 25, 43}, eight = {4, 12, 20, 28, 36, 44, 52, 62};
  return {{"iq2_xxs", iq2_xxs_points(), three, Codebook::Signs::kEven},
          {"iq2_xs", iq2_xs_points(), three, Codebook::Signs::kEven},
          {"iq2_s", iq2_s_points(), three, Codebook::Signs::kFree},
          {"iq3_xxs", iq3_xxs_points(), eight, Codebook::Signs::kEven},
          {"iq3_s", iq3_s_points(), {1, 3, 5, 7, 9, 11, 13, 15}, Codebook::Signs::kFree}};
}

/// Of each number of flipped signs, 0 and 1, the least error of `dims` weights over all points; sums in double.
std::array<double, 2> least_of_points(const BookCase& c, int dims, float scale, const float* x, const float* w) {
  std::array<double, 2> best = {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()};
  const int bits = 16 / dims;
  for (const uint16_t point : c.points) {
    double plain = 0, flip = std::numeric_limits<double>::infinity();
    for (int i = 0; i < dims; ++i) {
      const double stored = scale * c.magnitudes[point >> (bits * i) & ((1 << bits) - 1)], size = std::fabs(x[i]);
      const double as_is = w[i] * std::pow(stored - size, 2), other = w[i] * std::pow(stored + size, 2);
      plain += as_is;
      flip = std::min(flip, other - as_is);
    }
    best[0] = std::min(best[0], plain);
    best[1] = std::min(best[1], plain + flip);
  }
  return best;
}

double least_error(const BookCase& c, float scale, const float* x, const float* w) {
  const int dims = c.magnitudes.size() == 3 ? 8 : 4;
  int negative = 0;
  for (int i = 0; i < Codebook::kRun; ++i) negative += x[i] < 0.0f ? 1 : 0;
  const bool odd = c.signs == Codebook::Signs::kEven && negative % 2 != 0;
  if (dims == 8) return least_of_points(c, dims, scale, x, w)[odd ? 1 : 0];
  const auto first = least_of_points(c, dims, scale, x, w), second = least_of_points(c, dims, scale, x + 4, w + 4);
  if (!odd) return first[0] + second[0];
  return std::min(first[1] + second[0], first[0] + second[1]);
}

TEST(Codebook, TheJointlyNearestIsTheBestOfAll) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal(0.0f, 1.0f);
  for (const BookCase& c : book_cases()) {
    const Codebook book(c.points, c.magnitudes, c.signs);
    for (int trial = 0; trial < 40; ++trial) {
      std::array<float, Codebook::kRun> x, w;
      for (float& value : x) value = normal(random);
      for (float& value : w) value = std::exp(normal(random));
      const float scale = std::exp(0.7f * normal(random)) * 2.0f / c.magnitudes.back();
      std::array<Code, Codebook::kRun> codes;
      book.nearest_jointly(scale, x.data(), w.data(), Codebook::kRun, codes.data());
      double error = 0;
      for (size_t i = 0; i < codes.size(); ++i)
        error += w[i] * std::pow(static_cast<double>(scale) * book.level(codes[i]) - x[i], 2);
      const double best = least_error(c, scale, x.data(), w.data());
      EXPECT_NEAR(error, best, 1e-5 * best) << c.name;  // costs are summed in float
    }
  }
}

TEST(Codebook, EveryPointGoesThereAndBack) {
  for (const BookCase& c : book_cases()) {
    const Codebook book(c.points, c.magnitudes, c.signs);
    const auto count = static_cast<int>(c.points.size());
    for (int p = 0; p < count; ++p) {
      const int second = c.magnitudes.size() == 3 ? 0 : (p * 7 + 3) % count;
      const auto signs = static_cast<uint8_t>((p * 37 & 127) | (std::popcount(p * 37u & 127u) % 2) << 7);
      const Codebook::Run run{.points = {p, second}, .signs = signs};
      std::array<Code, Codebook::kRun> codes;
      std::array<float, Codebook::kRun> values;
      book.codes_of(run, codes.data());
      book.values_of(run, 0.5f, values.data());
      for (size_t i = 0; i < codes.size(); ++i) EXPECT_EQ(values[i], 0.5f * book.level(codes[i]));
      const Codebook::Run back = book.run_of(codes.data());
      EXPECT_EQ(back.points, run.points) << c.name;
      EXPECT_EQ(back.signs, run.signs) << c.name;
    }
  }
}

TEST(Codebook, ScalesWithoutUseGiveCodesThatExist) {
  const std::array<float, Codebook::kRun> x = {-1, 2, 3, 4, 5, 6, 7, 8}, w = {1, 1, 1, 1, 1, 1, 1, 1};
  for (const BookCase& c : book_cases()) {
    const Codebook book(c.points, c.magnitudes, c.signs);
    for (const float scale : {0.0f, -0.1f, NAN, INFINITY, 1e-38f, 1e38f}) {
      std::array<Code, Codebook::kRun> codes, back;
      book.nearest_jointly(scale, x.data(), w.data(), Codebook::kRun, codes.data());
      book.codes_of(book.run_of(codes.data()), back.data());
      EXPECT_EQ(codes, back) << c.name << " " << scale;
    }
  }
}

TEST(Codebook, BitsAreThoseOfPointsAndSigns) {
  const double bits[] = {15.0 / 8, 16.0 / 8, 18.0 / 8, 23.0 / 8, 13.0 / 4};
  size_t i = 0;
  for (const BookCase& c : book_cases())
    EXPECT_DOUBLE_EQ(Codebook(c.points, c.magnitudes, c.signs).bits(), bits[i++]) << c.name;
}

}  // namespace
}  // namespace vernier
