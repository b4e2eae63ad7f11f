// Deterministic operators against the libraries that ImageNet-C's script calls (tests/fixtures/reliability/PROVENANCE.md),
// random ones against what they are defined to be on average.

#include "vernier/corruptions.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/json.h"
#include "corruptions/filters.h"
#include "corruptions/operators.h"
#include "support/expect_error.h"

namespace vernier {
namespace {

Image flat_image(int64_t side, uint8_t value) {
  return {side, side, std::vector<uint8_t>(static_cast<size_t>(side * side * 3), value)};
}

class CorruptionFixture : public ::testing::Test {
 protected:
  const Json json_ =
      read_json(std::filesystem::path(VERNIER_SOURCE_DIR) / "tests/fixtures/reliability/corruptions.json");
  const Image image_{json_["side"].get<int64_t>(), json_["side"].get<int64_t>(),
                     json_["image"].get<std::vector<uint8_t>>()};

  double farthest(const Picture& found, const std::vector<double>& expected) const {
    double farthest = 0;
    for (size_t i = 0; i < expected.size(); ++i)
      farthest = std::max(farthest, std::abs(std::clamp(found.values[i], 0.0, 1.0) - expected[i]));
    return farthest;
  }
};

TEST_F(CorruptionFixture, OperatorsEqualTheirDefinitions) {
  const std::map<std::string, PictureOperator> operators{
      {"gaussian_blur", gaussian_blur}, {"defocus_blur", defocus_blur}, {"zoom_blur", zoom_blur},
      {"contrast", contrast},           {"brightness", brightness},     {"saturate", saturate}};
  for (const auto& [name, apply] : operators)
    for (int severity = 1; severity <= kSeverities; ++severity) {
      const auto level = static_cast<size_t>(severity - 1);
      const auto expected = json_["operators"][name][level].get<std::vector<double>>();
      Drawn drawn(1);
      const Picture found = apply(picture_of(image_), find_corruption(name).small[level], drawn);
      EXPECT_LT(farthest(found, expected), 1e-5) << name << " " << severity << ": the fixture has five digits";
      const Image eight_bits = corrupt(image_, find_corruption(name), severity, 1);
      for (size_t i = 0; i < expected.size(); ++i)
        ASSERT_NEAR(eight_bits.rgb[i], std::floor(255 * expected[i] + 0.005), 1) << name << " " << i;
    }
  for (int severity = 1; severity <= kSeverities; ++severity) {
    const auto expected = json_["operators"]["pixelate"][static_cast<size_t>(severity - 1)].get<std::vector<double>>();
    const Image found = corrupt(image_, find_corruption("pixelate"), severity, 1);
    for (size_t i = 0; i < expected.size(); ++i) ASSERT_EQ(found.rgb[i], std::lround(255 * expected[i]));
  }
}

TEST_F(CorruptionFixture, PiecesOfElastic) {
  Picture field(image_.width, image_.height, 1);
  field.values = json_["field"].get<std::vector<double>>();
  const auto expected = json_["smooth"].get<std::vector<double>>();
  const Picture smooth = gaussian_filter(field, 1.28, 3, Border::kReflect);
  for (size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(smooth.values[i], expected[i], 1e-12);
  std::vector<double> row, column;
  for (size_t i = 0; i < expected.size(); ++i) {
    row.push_back(static_cast<double>(i / 16) + 3 * expected[i]);
    column.push_back(static_cast<double>(i % 16) - 2 * expected[i]);
  }
  EXPECT_LT(farthest(displaced(picture_of(image_), row, column), json_["moved"].get<std::vector<double>>()), 1e-6);
}

TEST(Corruptions, NoiseHasTheMomentsOfItsDefinition) {
  const Picture grey = picture_of(flat_image(128, 102));  // 0.4
  const auto moments = [&](PictureOperator apply, CorruptionConstants constants) {
    Drawn drawn(3);
    const Picture found = apply(grey, constants, drawn);
    double sum = 0, squares = 0;
    for (const double v : found.values) sum += v, squares += (v - 0.4) * (v - 0.4);
    const auto n = static_cast<double>(found.values.size());
    return std::pair{sum / n, squares / n};
  };
  // 49,152 values: means to 5 standard errors, variances to 3%.
  const auto expect_moments = [&](PictureOperator apply, double a, double mean, double variance) {
    const auto [found_mean, found_variance] = moments(apply, {a});
    EXPECT_NEAR(found_mean, mean, 5 * std::sqrt(variance / 49152));
    EXPECT_NEAR(found_variance / variance, 1, 0.03);
  };
  expect_moments(gaussian_noise, 0.1, 0.4, 0.01);
  expect_moments(shot_noise, 60, 0.4, 0.4 / 60);  // Poisson of 24: rejection
  expect_moments(shot_noise, 5, 0.4, 0.4 / 5);    // Poisson of 2: products
  expect_moments(speckle_noise, 0.5, 0.4, 0.4 * 0.4 * 0.25);
  // A tenth becomes black or white alike.
  expect_moments(impulse_noise, 0.1, 0.9 * 0.4 + 0.05, 0.05 * 0.16 + 0.05 * 0.36);
}

TEST(Corruptions, PoissonHasItsProbabilities) {
  Drawn drawn(5);
  for (const double mean : {3.0, 20.0}) {
    std::map<int, int> counts;
    const int draws = 200000;
    for (int i = 0; i < draws; ++i) ++counts[static_cast<int>(drawn.poisson(mean))];
    for (int k = static_cast<int>(mean) - 3; k < mean + 6; ++k) {
      const double p = std::exp(k * std::log(mean) - mean - std::lgamma(k + 1.0));
      EXPECT_NEAR(counts[k] / static_cast<double>(draws), p, 5 * std::sqrt(p / draws)) << mean << " " << k;
    }
  }
}

TEST_F(CorruptionFixture, SeedsDecideAndSeveritiesGrow) {
  const JpegCodec none = [](const Image& image, int) { return image; };
  for (const Corruption& row : corruptions()) {
    const auto corrupted = [&](int severity, uint64_t seed) { return corrupt(image_, row, severity, seed, none).rgb; };
    EXPECT_EQ(corrupted(3, 7), corrupted(3, 7)) << row.key;
    EXPECT_EQ(corrupted(3, 7) != corrupted(3, 8), row.random) << row.key;
    const auto distance = [&](int severity) {
      double sum = 0;
      for (uint64_t seed = 0; seed < 8; ++seed) {
        const std::vector<uint8_t> found = corrupted(severity, seed);
        for (size_t i = 0; i < found.size(); ++i) sum += std::abs(found[i] - image_.rgb[i]);
      }
      return sum;
    };
    if (row.key != "jpeg" && row.key != "saturate" && row.key != "elastic") {  // of these, not even the authors' grow
      EXPECT_GT(distance(5), distance(1)) << row.key;
    }
  }
  std::set<uint64_t> seeds;
  for (int64_t image = 0; image < 100; ++image)
    for (const Corruption& row : corruptions())
      for (int severity = 1; severity <= kSeverities; ++severity)
        seeds.insert(corruption_seed(1, image, row.key, severity));
  EXPECT_EQ(seeds.size(), 100 * corruptions().size() * kSeverities);
}

TEST_F(CorruptionFixture, MovesOnlyWhatItSays) {
  const Image grey = flat_image(32, 90);
  for (const char* key : {"motion_blur", "zoom_blur", "defocus_blur", "gaussian_blur", "elastic", "pixelate"})
    for (const uint8_t value : corrupt(grey, find_corruption(key), 4, 2).rgb)
      ASSERT_NEAR(value, 90, 1) << key << ": of one colour nothing can move";
  const Image hidden = corrupt(flat_image(30, 0), find_corruption("occlusion"), 5, 2);
  EXPECT_EQ(std::count(hidden.rgb.begin(), hidden.rgb.end(), 127), 18 * 18 * 3);
}

TEST(Corruptions, WhatCannotBe) {
  const Image image = flat_image(8, 1);
  expect_error(ErrorKind::kInvalidArgument, {"rain", "fog"}, [] { find_corruption("rain"); });
  expect_error(ErrorKind::kInvalidArgument, {"severity 6", "1 to 5"},
               [&] { corrupt(image, find_corruption("fog"), 6, 1); });
  expect_error(ErrorKind::kUnsupported, {"codec"}, [&] { corrupt(image, find_corruption("jpeg"), 1, 1); });
  expect_error(ErrorKind::kInvalidArgument, {"9 x 8"}, [&] {
    corrupt({9, 8, image.rgb}, find_corruption("fog"), 1, 1);
  });
}

}  // namespace
}  // namespace vernier
