// Fit, nearest codes and pack apart, as a search over values uses them, for every scheme.

#include "scheme/grid.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>
#include <vector>

#include "vernier/error.h"

namespace vernier {
namespace {

constexpr int64_t kRows = 5, kColumns = 768;

std::vector<std::string> scheme_names() {
  std::vector<std::string> names = gguf_scheme_names();
  for (const char* name :
       {"int2:channel:asym", "int3:g24:asym", "int4:g128:sym", "int4:g32:sym7", "int5:tensor:asym", "int8:channel:sym",
        "int8:tensor:sym", "fp8:e4m3:tensor", "fp8:e4m3:channel", "mxfp4", "nvfp4"})
    names.emplace_back(name);
  return names;
}

std::vector<float> weights() {
  std::mt19937 random(11);
  std::normal_distribution<float> normal(0.0f, 0.02f);
  std::vector<float> values(static_cast<size_t>(kRows * kColumns));
  for (float& x : values) x = normal(random);
  return values;
}

std::vector<float> importances() {
  std::vector<float> importance(static_cast<size_t>(kColumns));
  for (size_t c = 0; c < importance.size(); ++c) importance[c] = 0.1f + static_cast<float>(c * 7 % 31);
  return importance;
}

struct Stored {
  explicit Stored(const std::string& name)
      : scheme(Scheme::parse(name)), grid(grid_of(scheme, kRows, kColumns)), bytes(scheme.bytes(kRows, kColumns)) {}

  /// Block after block over all rows, as error feedback goes.
  void fit(const std::vector<float>& weight) {
    const std::vector<float> w = column_weights(importances(), kColumns);
    for (int64_t block = 0; block < grid->blocks(); ++block) {
      const int64_t col = block * grid->block_cols;
      for (int64_t row = 0; row < kRows; row += grid->block_rows)
        grid->fit(row, block, weight.data() + row * kColumns + col, kColumns, w.data() + col, bytes.data());
    }
  }

  Step step(int64_t row, int64_t col) const {
    std::vector<Step> steps(static_cast<size_t>(grid->segments()));
    grid->steps(row, col / grid->block_cols, bytes.data(), steps.data());
    return steps[static_cast<size_t>(col % grid->block_cols / grid->segment_cols)];
  }

  std::vector<float> values() const {
    std::vector<float> out(static_cast<size_t>(kRows * kColumns));
    decode(scheme, bytes, kRows, kColumns, out);
    return out;
  }

  /// Those that the codebook has side by side, which are about as random.
  void make_joint(std::vector<Code>& codes) const {
    std::vector<float> levels, ones(codes.size(), 1.0f);
    for (const Code code : codes) levels.push_back(grid->level(code));
    grid->nearest_jointly({}, levels.data(), ones.data(), static_cast<int64_t>(codes.size()), codes.data());
  }

  Scheme scheme;
  std::unique_ptr<Grid> grid;
  std::vector<std::byte> bytes;
};

bool same(float a, float b) {
  return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b) || (std::isnan(a) && std::isnan(b));
}

TEST(Grid, EncodingIsFitNearestAndPack) {
  const std::vector<float> weight = weights();
  for (const std::string& name : scheme_names()) {
    Stored stored(name);
    stored.fit(weight);
    std::vector<Code> codes(static_cast<size_t>(kColumns));
    const std::vector<float> w = column_weights(importances(), kColumns);
    for (int64_t row = 0; row < kRows; ++row) {
      for (int64_t col = 0; col < kColumns; col += stored.grid->joint_cols) {
        const auto at = static_cast<size_t>(col);
        stored.grid->nearest_jointly(stored.step(row, col), &weight[static_cast<size_t>(row * kColumns) + at], &w[at],
                                     stored.grid->joint_cols, &codes[at]);
      }
      stored.grid->pack_row(row, codes.data(), stored.bytes.data());
    }
    std::vector<std::byte> expected(stored.bytes.size());
    encode(stored.scheme, weight, kRows, kColumns, importances(), expected);
    EXPECT_TRUE(stored.bytes == expected) << name;
  }
}

TEST(Grid, AnyCodesDecodeToTheGridsValues) {
  std::mt19937 random(5);
  for (const std::string& name : scheme_names()) {
    Stored stored(name);
    stored.fit(weights());
    std::vector<Code> codes(static_cast<size_t>(kRows * kColumns)), back(codes.size());
    for (Code& code : codes) code = random() % (static_cast<uint64_t>(stored.grid->top_code) + 1);
    if (stored.grid->joint_cols > 1) stored.make_joint(codes);
    for (int64_t row = 0; row < kRows; ++row)
      stored.grid->pack_row(row, &codes[static_cast<size_t>(row * kColumns)], stored.bytes.data());
    for (int64_t row = 0; row < kRows; ++row)
      stored.grid->unpack_row(row, stored.bytes.data(), &back[static_cast<size_t>(row * kColumns)]);
    EXPECT_EQ(codes, back) << name;
    const std::vector<float> values = stored.values();
    for (int64_t i = 0; i < kRows * kColumns; ++i) {
      const auto at = static_cast<size_t>(i);
      ASSERT_TRUE(same(values[at], value_of(stored.step(i / kColumns, i % kColumns), stored.grid->level(codes[at]))))
          << name << " at " << i << ": " << values[at];
    }
  }
}

TEST(Grid, OneCodeIsOneValue) {
  const std::vector<float> weight = weights();
  for (const std::string& name : scheme_names()) {
    Stored stored(name);
    if (stored.grid->joint_cols > 1) continue;
    encode(stored.scheme, weight, kRows, kColumns, {}, stored.bytes);
    const std::vector<float> before = stored.values();
    std::vector<Code> codes(static_cast<size_t>(kColumns));
    for (const int64_t col : {0, 1, 15, 16, 31, 32, 100, 255, 256, 500, 767}) {
      const int64_t row = col % kRows;
      const std::vector<std::byte> kept = stored.bytes;
      stored.grid->unpack_row(row, stored.bytes.data(), codes.data());
      Code& code = codes[static_cast<size_t>(col)];
      code = code > 0 ? code - 1 : code + 1;
      stored.grid->pack_row(row, codes.data(), stored.bytes.data());
      const std::vector<float> after = stored.values();
      for (int64_t i = 0; i < kRows * kColumns; ++i) {
        const bool changed = !same(before[static_cast<size_t>(i)], after[static_cast<size_t>(i)]);
        // Codes of a segment whose scale was stored as zero all mean the same.
        const bool can_change = i == row * kColumns + col && stored.step(row, col).scale != 0.0f;
        ASSERT_EQ(changed, can_change) << name << " at " << i;
      }
      stored.bytes = kept;
    }
  }
}

TEST(Grid, CodesThatDoNotStandSideBySideMoveAsLittleAsCanBe) {
  std::mt19937 random(6);
  size_t formats = 0;
  for (const std::string& name : scheme_names()) {
    Stored stored(name);
    if (stored.grid->joint_cols == 1) continue;
    ++formats;
    stored.fit(weights());
    std::vector<Code> codes(static_cast<size_t>(kRows * kColumns)), back(static_cast<size_t>(kColumns));
    for (Code& code : codes) code = random() % (static_cast<uint64_t>(stored.grid->top_code) + 1);
    stored.grid->pack_row(2, &codes[2 * kColumns], stored.bytes.data());
    stored.grid->unpack_row(2, stored.bytes.data(), back.data());
    stored.make_joint(codes);
    EXPECT_TRUE(std::equal(back.begin(), back.end(), codes.begin() + 2 * kColumns)) << name;
  }
  EXPECT_EQ(formats, 5u);
}

TEST(Grid, LevelsRiseAndTheNearestIsNearest) {
  const std::vector<float> weight = weights();
  for (const std::string& name : scheme_names()) {
    Stored stored(name);
    stored.fit(weight);
    const Grid& grid = *stored.grid;
    const Code few = grid.top_code < 256 ? grid.top_code : 0;  // floats end in NaN on both sides
    for (Code code = 0; code < few; ++code) EXPECT_LT(grid.level(code), grid.level(code + 1)) << name;
    for (int64_t i = 0; i < kRows * kColumns; ++i) {
      const float x = weight[static_cast<size_t>(i)];
      const Step step = stored.step(i / kColumns, i % kColumns);
      Code code = 0;
      grid.nearest(step, &x, 1, &code);
      const auto error = [&](Code c) { return std::fabs(static_cast<double>(value_of(step, grid.level(c))) - x); };
      // Rounding of a quotient to a float decides near ties: a few units in its last place.
      const double slack = 1e-5 * std::fabs(step.scale) * (1.0 + std::fabs(grid.level(code)));
      const Code below = code > 1 ? code - 1 : code;  // code 0 is not always in use
      const Code above = code < grid.top_code ? code + 1 : code;
      EXPECT_LE(error(code), error(below) + slack) << name << " " << x;
      EXPECT_LE(error(code), error(above) + slack) << name << " " << x;
    }
  }
}

TEST(Grid, ShapesThatDoNotFitAreRefused) {
  try {
    grid_of(Scheme::parse("gguf:q4_k"), 2, 100);
    ADD_FAILURE() << "accepted 100 columns";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kInvalidArgument);
  }
}

}  // namespace
}  // namespace vernier
