#include "ops/site_rounding.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "support/slab_view.h"

namespace vernier {
namespace {

using Span = ActivationGrid::Span;

/// Rows of very different sizes, channel 2 with outliers.
at::Tensor sample_rows() {
  at::manual_seed(5);
  at::Tensor x = at::randn({7, 12}) * at::logspace(-1, 1, 7, 10.0).unsqueeze(1);
  x.select(1, 2).mul_(9);
  return x;
}

struct RoundingCase {
  SiteRounding rounding;
  const char* what;
};

std::vector<RoundingCase> rounding_cases() {
  std::vector<float> by_channel(12);
  for (size_t j = 0; j < 12; ++j) by_channel[j] = 0.5f + static_cast<float>(j);
  by_channel[4] = 0;
  return {{{8, Span::kToken, {}}, "token"},
          {{4, Span::kToken, {}, 6}, "token, outliers kept"},
          {{8, Span::kTensor, {}}, "tensor, dynamic"},
          {{6, Span::kTensor, {}, 6}, "tensor, dynamic, outliers kept"},
          {{8, Span::kTensor, {3}}, "tensor, static"},
          {{8, Span::kTensor, {0}}, "tensor, never fed"},
          {{4, Span::kChannel, {}}, "channel, dynamic"},
          {{8, Span::kChannel, by_channel}, "channel, static"}};
}

/// What the definition says of one value, in float64; steps are float32.
double defined_value(const SiteRounding& rounding, const at::Tensor& x, int64_t r, int64_t j) {
  const auto value = [&](int64_t row, int64_t column) { return std::abs(x[row][column].item<double>()); };
  const auto kept = [&](int64_t column) {
    double largest = 0;
    for (int64_t row = 0; row < x.size(0); ++row) largest = std::max(largest, value(row, column));
    return rounding.keep_from > 0 && largest >= rounding.keep_from;
  };
  if (kept(j)) return x[r][j].item<double>();
  double range = 0;
  if (rounding.ranges.size() > 1)
    range = rounding.ranges[static_cast<size_t>(j)];
  else if (rounding.ranges.size() == 1 && rounding.ranges[0] > 0)
    range = rounding.ranges[0];
  else
    for (int64_t row = 0; row < x.size(0); ++row)
      for (int64_t column = 0; column < x.size(1); ++column) {
        const bool shares = rounding.span == Span::kTensor || (rounding.span == Span::kToken ? row == r : column == j);
        if (shares && !kept(column)) range = std::max(range, value(row, column));
      }
  const double most = (1 << (rounding.bits - 1)) - 1, step = static_cast<float>(range) / static_cast<float>(most);
  if (step == 0) return 0;
  return std::clamp(std::nearbyint(x[r][j].item<double>() / step), -most, most) * step;
}

TEST(RoundSite, EqualsTheDefinitionOnBothKindsOfOperations) {
  const at::Tensor x = sample_rows();
  for (const RoundingCase& c : rounding_cases()) {
    Arena arena;
    const Slab in{x.data_ptr<float>(), x.size(0), x.size(1), x.size(1)}, out = arena.slab(7, 12);
    round_site(c.rounding, in, out);
    const at::Tensor plain = round_site(c.rounding, x);
    int64_t differing = 0, rounded = 0;
    for (int64_t r = 0; r < 7; ++r)
      for (int64_t j = 0; j < 12; ++j) {
        const double known = defined_value(c.rounding, x, r, j);
        EXPECT_NEAR(out.row(r)[j], known, 1e-6 * std::abs(known)) << c.what << " " << r << " " << j;
        EXPECT_EQ(plain[r][j].item<float>(), out.row(r)[j]) << c.what << " " << r << " " << j;
        differing += known != x[r][j].item<double>() ? 1 : 0;
        rounded += c.rounding.keep_from == 0 || x.select(1, j).abs().max().item<float>() < c.rounding.keep_from ? 1 : 0;
      }
    EXPECT_GT(rounded, 0) << c.what;
    EXPECT_GT(2 * differing, rounded) << c.what;
  }
}

TEST(RoundSite, KeptChannelsAreThoseThatReachTheLimit) {
  const at::Tensor x = sample_rows();
  const SiteRounding rounding{8, Span::kToken, {}, 6};
  const at::Tensor kept = kept_channels(rounding, x);
  EXPECT_TRUE(at::equal(kept.select(1, 2), x.select(1, 2)));
  const at::Tensor largest = x.abs().amax(0), own = kept.abs().amax(0);
  for (int64_t j = 0; j < 12; ++j)
    EXPECT_EQ(own[j].item<float>(), largest[j].item<float>() >= 6 ? largest[j].item<float>() : 0.0f) << j;
  Arena arena;
  const Slab out = arena.slab(7, 12);
  kept_channels(rounding, {x.data_ptr<float>(), 7, 12, 12}, out);
  EXPECT_TRUE(at::equal(view(out), kept));
}

TEST(RoundSite, BrokenRowsStayBroken) {
  at::Tensor x = sample_rows();
  x[3][5] = INFINITY;
  Arena arena;
  const Slab out = arena.slab(7, 12);
  round_site({8, Span::kToken, {}}, {x.data_ptr<float>(), 7, 12, 12}, out);
  EXPECT_TRUE(std::isnan(out.row(3)[0]));
  EXPECT_FALSE(std::isnan(out.row(2)[0]));
}

TEST(RoundCache, IntegersHaveAScalePerTokenAndHead) {
  at::Tensor x = sample_rows();  // 12 columns: three heads of four
  const at::Tensor heads = x.clone().view({7, 3, 4}).to(at::kDouble);
  const at::Tensor step = (heads.abs().amax(-1, true).to(at::kFloat) / 7.0f).to(at::kDouble);
  const at::Tensor known = ((heads / step).round() * step).view({7, 12});
  round_cache({CacheFormat::Kind::kInteger, 4}, {x.data_ptr<float>(), 7, 12, 12}, 3);
  EXPECT_TRUE(at::allclose(x.to(at::kDouble), known, 1e-6, 0));
}

// ggml-quants.c: d = value of the largest magnitude / -8, codes trunc(x / d + 8.5) up to 15, values (code - 8) d.
TEST(RoundCache, FourBitsAreThoseOfLlamaCpp) {
  at::manual_seed(6);
  at::Tensor x = at::randn({3, 64});
  const at::Tensor known = x.clone();
  round_cache({CacheFormat::Kind::kQ4_0}, {x.data_ptr<float>(), 3, 64, 64}, 2);
  for (int64_t block = 0; block < 6; ++block) {
    const at::Tensor in = known.view({6, 32})[block], out = x.view({6, 32})[block];
    const float largest = in[in.abs().argmax().item<int64_t>()].item<float>(), scale = largest / -8.0f;
    const double stored = at::tensor(scale).to(at::kHalf).to(at::kDouble).item<double>();
    for (int64_t i = 0; i < 32; ++i) {
      const double code = std::min(15.0, std::trunc(in[i].item<float>() / scale + 8.5));
      EXPECT_NEAR(out[i].item<double>(), (code - 8) * stored, 1e-7) << block << " " << i;
    }
  }
}

TEST(RoundCache, EightBitFloatsAreCastAndSaturate) {
  at::Tensor x = at::tensor(std::vector<float>{1.0f, 1.06f, -1.19f, 0.001f, 500.0f, -7e3f, 0.0f, 17.0f});
  round_cache({CacheFormat::Kind::kE4M3}, {x.data_ptr<float>(), 1, 8, 8}, 1);
  const std::vector<float> known{1.0f, 1.0f, -1.25f, 0x1p-9f * 1, 448.0f, -448.0f, 0.0f, 16.0f};
  for (size_t i = 0; i < known.size(); ++i) EXPECT_EQ(x[static_cast<int64_t>(i)].item<float>(), known[i]) << i;
}

TEST(RoundCache, EightBitBlocksErrAtMostHalfAStep) {
  at::manual_seed(7);
  at::Tensor x = at::randn({5, 64});
  const at::Tensor before = x.clone();
  round_cache({CacheFormat::Kind::kQ8_0}, {x.data_ptr<float>(), 5, 64, 64}, 2);
  const at::Tensor range = before.view({-1, 32}).abs().amax(-1, true), error = (x - before).view({-1, 32}).abs();
  // The scale is a half: 2^-11 of 127 steps.
  EXPECT_TRUE((error <= range / 127 * (0.5 + 127.0 / 2048)).all().item<bool>());
  EXPECT_GT(error.max().item<float>(), 0);
}

}  // namespace
}  // namespace vernier
