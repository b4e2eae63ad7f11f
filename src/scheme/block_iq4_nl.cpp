// IQ4_NL: blocks of 32 weights with one fp16 scale d and codes of 4 bits into a fixed codebook that is denser near zero.
//   d, 16 bytes: byte i holds weight i low and weight i + 16 high; value = d * kCodebook[code]

#include <algorithm>
#include <array>
#include <cmath>

#include "scheme/gguf_format.h"
#include "scheme/half_float.h"
#include "scheme/lanes.h"
#include "scheme/little_endian.h"

namespace vernier {

namespace {

constexpr int kHalfBlock = kSmallBlock / 2, kLevels = 16;

/// @source ggml's kvalues_iq4nl
constexpr std::array<float, kLevels> kCodebook = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                  1,    13,   25,  38,  53,  69,  89,  113};

inline float boundary(int code) { return 0.5f * (kCodebook[code - 1] + kCodebook[code]); }

/// The nearest levels of t; between two, the upper one.
inline Lanes nearest_levels(Lanes t) {
  Lanes level = Lanes{} + kCodebook[0];
  for (int code = 1; code < kLevels; ++code) {
    const Lanes up = Lanes{} + (kCodebook[code] - kCodebook[code - 1]);
    level += t >= Lanes{} + boundary(code) ? up : Lanes{};
  }
  return level;
}

inline LaneCodes nearest_codes(Lanes t) {
  LaneCodes codes{};
  for (int code = 1; code < kLevels; ++code) codes -= t >= Lanes{} + boundary(code);  // true is -1
  return codes;
}

float error_at(const float* x, const float* w, float scale) {
  const float inverse = inverse_scale(scale);
  Lanes sum{};
  for (int i = 0; i < kSmallBlock; i += kLanes) {
    const Lanes value = load(x + i), error = scale * nearest_levels(value * inverse) - value;
    sum += load(w + i) * error * error;
  }
  return total(sum);
}

/// The scale of least error, as a half: candidates put the largest weight on or near either end of the codebook; then,
/// in turns, the levels for a scale and by least squares the scale for its levels.
class Search {
 public:
  Search(const float* x, const float* w) : x_(x), w_(w) {}

  float best() {
    const float* peak =
        std::max_element(x_, x_ + kSmallBlock, [](float a, float b) { return std::fabs(a) < std::fabs(b); });
    if (*peak == 0.0f) return 0.0f;
    for (const float end : {kCodebook.front(), kCodebook.back()})
      for (int k = 0; k < kCandidates; ++k) consider(end * spread(k) / *peak);
    for (int round = 0; round < kPolish && consider(inverse_scale(scale_)); ++round) continue;
    return rounded();
  }

 private:
  static constexpr int kFine = 17, kCoarse = 5, kCandidates = kFine + kCoarse, kPolish = 3, kRounds = 3;

  /// The codebook is stretched by up to 19% either way to try alignments, and up to 83% to try clipping.
  static float spread(int k) {
    if (k >= kFine) return 1.0f + 1.89f * (0.16f + 0.07f * static_cast<float>(k - kFine));
    return 1.0f + 0.19f * static_cast<float>(k - kFine / 2) / static_cast<float>(kFine / 2);
  }

  /// The least-squares scale for the levels that are nearest at a scale.
  double refit(float inverse, double* explained) const {
    Lanes sum_qq{}, sum_qx{};
    for (int i = 0; i < kSmallBlock; i += kLanes) {
      const Lanes value = load(x_ + i), q = nearest_levels(value * inverse), wq = load(w_ + i) * q;
      sum_qq += wq * q;
      sum_qx += wq * value;
    }
    const double qq = total(sum_qq), qx = total(sum_qx), scale = qx / qq;  // no level is zero, so qq is not
    *explained = scale * qx;
    return scale;
  }

  bool consider(float inverse) {
    double explained = 0.0;
    const double scale = refit(inverse, &explained);
    if (!(explained > explained_)) return false;
    explained_ = explained;
    scale_ = static_cast<float>(scale);
    return true;
  }

  float rounded() const {
    float scale = round_to_half(scale_), error = error_at(x_, w_, scale);
    for (int round = 0; round < kRounds; ++round) {
      double ignored = 0.0;
      const float next = round_to_half(static_cast<float>(refit(inverse_scale(scale), &ignored)));
      const float next_error = error_at(x_, w_, next);
      if (!(next_error < error)) break;
      scale = next;
      error = next_error;
    }
    return scale;
  }

  const float* const x_;
  const float* const w_;
  float scale_ = 0.0f;
  double explained_ = -1.0;  // of sum w x^2, the part that is not error
};

struct Iq4NlBlock {
  static constexpr int kElements = kSmallBlock, kSegments = 1, kBytes = 18;
  static constexpr Code kTopCode = kLevels - 1;

  static float level(Code code) { return kCodebook[code]; }

  static void nearest(const Step& step, const float* x, int64_t n, Code* codes) {
    const float inverse = inverse_scale(step.scale);
    for (int64_t i = 0; i < n; i += kLanes) {
      float values[kLanes] = {};
      const int64_t count = std::min<int64_t>(kLanes, n - i);
      std::copy(x + i, x + i + count, values);
      const LaneCodes nearest = nearest_codes(search_values(load(values)) * inverse);
      for (int64_t l = 0; l < count; ++l) codes[i + l] = static_cast<Code>(nearest[l]);
    }
  }

  static void fit(const float* x, const float* w, std::byte* out) {
    store_u16(float_to_half(Search(x, w).best()), out);
  }

  static void steps(const std::byte* in, Step* steps) { steps->scale = half_to_float(load_u16(in)); }

  static void pack(const Code* codes, std::byte* out) {
    for (int i = 0; i < kHalfBlock; ++i) out[2 + i] = static_cast<std::byte>(codes[i] | codes[i + kHalfBlock] << 4);
  }

  template <class Fn>
  static void each_code(const std::byte* in, Fn&& fn) {
    for (int i = 0; i < kHalfBlock; ++i) fn(0, i, std::to_integer<int>(in[2 + i]) & 15);
    for (int i = 0; i < kHalfBlock; ++i) fn(0, i + kHalfBlock, std::to_integer<int>(in[2 + i]) >> 4);
  }
};

}  // namespace

const NumberFormat& iq4_nl_format() {
  static const GgufFormat row({.name = "gguf:iq4_nl", .type = kGgmlIq4Nl, .file_type = 25}, gguf_block<Iq4NlBlock>());
  return row;
}

}  // namespace vernier
