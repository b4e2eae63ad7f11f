#pragma once

// The fixed codebook of IQ4_NL and IQ4_XS: sixteen levels for single weights, denser near zero; and the search for the
// scale that 32 weights share.
//
//   const float scale = iq4_best_scale(x, w);     // any float
//   iq4_error(x, w, scale);                       // sum w (scale * level - x)^2 with the nearest levels

#include <array>

#include "scheme/scale_search.h"

namespace vernier {

inline constexpr int kIq4Weights = 32;

/// @source ggml's kvalues_iq4nl
inline constexpr std::array<float, 16> kIq4Levels = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                     1,    13,   25,  38,  53,  69,  89,  113};

/// @shape x, codes [n], any n
void iq4_nearest(const Step& step, const float* x, int64_t n, Code* codes);

/// Candidates put the largest weight on or near either end of the codebook; then, in turns, the levels for a scale and by
/// least squares the scale for its levels. @shape x, w [kIq4Weights] in all three
float iq4_best_scale(const float* x, const float* w);
float iq4_error(const float* x, const float* w, float scale);
/// Of the nearest levels. @return sum w level^2 and sum w level x
CodeSums iq4_sums(const float* x, const float* w, float scale);

/// 32 codes in 16 bytes: byte i holds weight i low and weight i + 16 high.
void pack_iq4(const Code* codes, std::byte* out);

template <class Fn>
void each_iq4_code(const std::byte* in, Fn&& fn) {
  for (int i = 0; i < kIq4Weights / 2; ++i) fn(i, std::to_integer<int>(in[i]) & 15);
  for (int i = 0; i < kIq4Weights / 2; ++i) fn(i + kIq4Weights / 2, std::to_integer<int>(in[i]) >> 4);
}

}  // namespace vernier
