// fp8, mxfp4 and nvfp4 against torch's and compressed-tensors' own numbers. The fixtures are explained in
// tests/fixtures/scheme/PROVENANCE.md.

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/json.h"
#include "base/mapped_file.h"
#include "scheme/e2m1.h"
#include "scheme/e4m3.h"
#include "scheme/e8m0.h"
#include "vernier/scheme.h"

namespace vernier {
namespace {

const std::string kFloatFixture = std::string(VERNIER_SOURCE_DIR) + "/tests/fixtures/scheme/float.";

class FloatFormats : public ::testing::Test {
 protected:
  template <class T>
  std::vector<T> array(const Json& at, size_t count) const {
    std::vector<T> out(count);
    std::memcpy(out.data(), file_.bytes().subspan(at.get<size_t>(), count * sizeof(T)).data(), count * sizeof(T));
    return out;
  }

  const Json index_ = read_json(kFloatFixture + "json");
  const MappedFile file_{kFloatFixture + "bin"};
};

TEST_F(FloatFormats, DecodeAsTorchDoes) {
  size_t cases = 0;
  for (const Json& entry : index_["decode"]) {
    const Scheme scheme = Scheme::parse(entry["scheme"].get<std::string>());
    const int64_t rows = entry["rows"], cols = entry["cols"];
    const auto stored = array<std::byte>(entry["stored"], entry["bytes"]);
    const auto ends = array<float>(entry["first_and_last_row"], static_cast<size_t>(2 * cols));
    ASSERT_EQ(stored.size(), scheme.bytes(rows, cols)) << scheme.name();
    std::vector<float> decoded(static_cast<size_t>(rows * cols));
    decode(scheme, stored, rows, cols, decoded);
    for (int64_t i = 0; i < 2 * cols; ++i) {
      const int64_t at = i < cols ? i : (rows - 2) * cols + i;
      ASSERT_EQ(std::bit_cast<uint32_t>(decoded[static_cast<size_t>(at)]),
                std::bit_cast<uint32_t>(ends[static_cast<size_t>(i)]))
          << scheme.name() << " at " << at;
    }
    ++cases;
  }
  EXPECT_EQ(cases, 5u);
}

TEST_F(FloatFormats, RoundAsTorchDoes) {
  const auto count = index_["numbers"]["count"].get<size_t>();
  const auto numbers = array<float>(index_["numbers"]["values"], count);
  const auto eight = array<uint8_t>(index_["numbers"]["e4m3"], count);
  const auto four = array<uint8_t>(index_["numbers"]["e2m1"], count / 2);
  for (size_t i = 0; i < count; ++i) {
    EXPECT_EQ(e4m3_pattern(e4m3_nearest(numbers[i])), eight[i] == 128 ? 0 : eight[i]) << numbers[i];
    if (i >= count / 2 * 2) continue;
    const unsigned pattern = four[i / 2] >> (i % 2 * 4) & 15u;
    EXPECT_EQ(e2m1_pattern(e2m1_nearest(numbers[i])), pattern == 8 ? 0 : pattern) << numbers[i];
  }
}

TEST_F(FloatFormats, ErrorsAreNoLargerThanOfTheUsualRules) {
  const int64_t rows = index_["rows"], cols = index_["cols"];
  const auto weight = array<float>(index_["weight"], static_cast<size_t>(rows * cols));
  std::vector<float> stored(weight.size());
  for (const Json& entry : index_["encode"]) {
    const std::string scheme = entry["scheme"];
    round_trip(Scheme::parse(scheme), weight, rows, cols, {}, stored);
    double error = 0;
    for (size_t i = 0; i < weight.size(); ++i) error += std::pow(static_cast<double>(stored[i]) - weight[i], 2);
    const double ratio = error / entry["error"].get<double>();
    if (scheme.starts_with("fp8")) {
      EXPECT_NEAR(ratio, 1.0, 1e-6) << scheme;  // no search: the same numbers
    } else {
      EXPECT_LE(ratio, 0.99) << scheme;  // the scales are searched, which gains some percent
    }
    RecordProperty(scheme, std::to_string(ratio));
  }
}

TEST_F(FloatFormats, ImportancesMoveTheScalesOfFourBits) {
  const int64_t rows = index_["rows"], cols = index_["cols"];
  const auto weight = array<float>(index_["weight"], static_cast<size_t>(rows * cols));
  std::vector<float> importance(static_cast<size_t>(cols), 1.0f), with(weight.size()), without(weight.size());
  for (size_t c = 0; c < importance.size(); c += 4) importance[c] = 200.0f;
  for (const char* scheme : {"mxfp4", "nvfp4", "gguf:mxfp4"}) {
    round_trip(Scheme::parse(scheme), weight, rows, cols, importance, with);
    round_trip(Scheme::parse(scheme), weight, rows, cols, {}, without);
    const auto error = [&](const std::vector<float>& stored) {
      double sum = 0;
      for (size_t i = 0; i < weight.size(); ++i)
        sum += importance[i % importance.size()] * std::pow(static_cast<double>(stored[i]) - weight[i], 2);
      return sum;
    };
    EXPECT_LT(error(with), 0.99 * error(without)) << scheme;
  }
}

TEST_F(FloatFormats, PatternsAndCodesAreOneToOne) {
  for (Code code = 0; code <= kE4m3Top; ++code) EXPECT_EQ(e4m3_code(e4m3_pattern(code)), code);
  for (Code code = 0; code <= kE2m1Top; ++code) EXPECT_EQ(e2m1_code(e2m1_pattern(code)), code);
  for (Code code = 0; code <= kE4m3Top; ++code) EXPECT_EQ(e4m3_nearest(e4m3_value(e4m3_pattern(code))), code);
  for (Code code = 0; code <= kE2m1Top; ++code) EXPECT_EQ(e2m1_nearest(e2m1_value(code)), code);
  EXPECT_TRUE(std::isnan(e4m3_value(0x7f)) && std::isnan(e4m3_value(0xff)) && std::isnan(e8m0_value(255)));
  EXPECT_EQ(e8m0_value(127), 1.0f);
  EXPECT_EQ(e8m0_value(0), 0x1p-127f);
  EXPECT_EQ(e8m0_value(254), 0x1p127f);
}

// The exponent against all 255.
TEST_F(FloatFormats, ThePowerOfTwoIsTheBestThereIs) {
  const auto weight = array<float>(index_["weight"], 32 * 40);
  for (size_t block = 0; block < 40; ++block) {
    const float* x = weight.data() + 32 * block;
    std::vector<float> w(32);
    for (size_t i = 0; i < 32; ++i) w[i] = 0.1f + static_cast<float>((i * 7 + block) % 5);
    const auto error = [&](int exponent) {
      const double scale = std::exp2(exponent - 127);
      double sum = 0;
      for (size_t i = 0; i < 32; ++i)
        sum += w[i] * std::pow(scale * e2m1_value(e2m1_nearest(x[i] / static_cast<float>(scale))) - x[i], 2);
      return sum;
    };
    double best = std::numeric_limits<double>::infinity();
    for (int e = 0; e < 255; ++e) best = std::min(best, error(e));
    EXPECT_NEAR(error(fit_e8m0(x, w.data(), 32)), best, 1e-12 * best);
  }
}

}  // namespace
}  // namespace vernier
