#include "scheme/iq4_levels.h"

#include <algorithm>
#include <cmath>

#include "scheme/lanes.h"

namespace vernier {

namespace {

constexpr int kIq4Fine = 17, kIq4Coarse = 5, kIq4Candidates = kIq4Fine + kIq4Coarse, kIq4Polish = 3;
constexpr int kIq4Count = static_cast<int>(kIq4Levels.size());

float iq4_level(int code) { return kIq4Levels[static_cast<size_t>(code)]; }
float iq4_boundary(int code) { return 0.5f * (iq4_level(code - 1) + iq4_level(code)); }

/// The nearest levels of t; between two, the upper one.
Lanes nearest_iq4_levels(Lanes t) {
  Lanes level = Lanes{} + kIq4Levels[0];
  for (int code = 1; code < kIq4Count; ++code) {
    const Lanes up = Lanes{} + (iq4_level(code) - iq4_level(code - 1));
    level += t >= Lanes{} + iq4_boundary(code) ? up : Lanes{};
  }
  return level;
}

LaneCodes nearest_iq4_codes(Lanes t) {
  LaneCodes codes{};
  for (int code = 1; code < kIq4Count; ++code) codes -= t >= Lanes{} + iq4_boundary(code);  // true is -1
  return codes;
}

/// The codebook is stretched by up to 19% either way to try alignments, and up to 83% to try clipping.
float iq4_spread(int k) {
  if (k >= kIq4Fine) return 1.0f + 1.89f * (0.16f + 0.07f * static_cast<float>(k - kIq4Fine));
  return 1.0f + 0.19f * static_cast<float>(k - kIq4Fine / 2) / static_cast<float>(kIq4Fine / 2);
}

CodeSums iq4_sums_at(const float* x, const float* w, float inverse) {
  Lanes sum_qq{}, sum_qx{};
  for (int i = 0; i < kIq4Weights; i += kLanes) {
    const Lanes value = load(x + i), q = nearest_iq4_levels(value * inverse), wq = load(w + i) * q;
    sum_qq += wq * q;
    sum_qx += wq * value;
  }
  return {.qq = total(sum_qq), .qx = total(sum_qx)};
}

}  // namespace

void iq4_nearest(const Step& step, const float* x, int64_t n, Code* codes) {
  const float inverse = inverse_scale(step.scale);
  for (int64_t i = 0; i < n; i += kLanes) {
    float values[kLanes] = {};
    const int64_t count = std::min<int64_t>(kLanes, n - i);
    std::copy(x + i, x + i + count, values);
    const LaneCodes nearest = nearest_iq4_codes(search_values(load(values)) * inverse);
    for (int64_t l = 0; l < count; ++l) codes[i + l] = static_cast<Code>(nearest[l]);
  }
}

float iq4_best_scale(const float* x, const float* w) {
  const float* peak =
      std::max_element(x, x + kIq4Weights, [](float a, float b) { return std::fabs(a) < std::fabs(b); });
  if (*peak == 0.0f) return 0.0f;
  float best = 0.0f;
  double most_explained = -1.0;  // of sum w x^2, the part that is not error
  const auto consider = [&](float inverse) {
    const CodeSums sums = iq4_sums_at(x, w, inverse);
    const double qq = sums.qq, qx = sums.qx, scale = qx / qq, explained = scale * qx;  // no level is 0, so qq is not
    if (!(explained > most_explained)) return false;
    most_explained = explained;
    best = static_cast<float>(scale);
    return true;
  };
  for (const float end : {kIq4Levels.front(), kIq4Levels.back()})
    for (int k = 0; k < kIq4Candidates; ++k) consider(end * iq4_spread(k) / *peak);
  for (int round = 0; round < kIq4Polish && consider(inverse_scale(best)); ++round) continue;
  return best;
}

float iq4_error(const float* x, const float* w, float scale) {
  const float inverse = inverse_scale(scale);
  Lanes sum{};
  for (int i = 0; i < kIq4Weights; i += kLanes) {
    const Lanes value = load(x + i), error = scale * nearest_iq4_levels(value * inverse) - value;
    sum += load(w + i) * error * error;
  }
  return total(sum);
}

CodeSums iq4_sums(const float* x, const float* w, float scale) { return iq4_sums_at(x, w, inverse_scale(scale)); }

void pack_iq4(const Code* codes, std::byte* out) {
  constexpr int kHalf = kIq4Weights / 2;
  for (int i = 0; i < kHalf; ++i) out[i] = static_cast<std::byte>(codes[i] | codes[i + kHalf] << 4);
}

}  // namespace vernier
