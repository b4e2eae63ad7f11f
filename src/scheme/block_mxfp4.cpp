// MXFP4 as ggml stores it: blocks of 32 weights in e2m1 with one E8M0 scale.
//   8 bits of exponent, 16 bytes: byte i holds weight i low and weight i + 16 high
// Levels are counted in halves, as in ggml: value = 2^(exponent - 128) * (2 e2m1).

#include <bit>

#include "scheme/e2m1.h"
#include "scheme/e8m0.h"
#include "scheme/gguf_format.h"

namespace vernier {

namespace {

struct Mxfp4Block {
  static constexpr int kElements = kSmallBlock, kSegments = 1, kBytes = 17, kHalf = kSmallBlock / 2;
  static constexpr Code kTopCode = kE2m1Top;

  static float level(Code code) { return 2.0f * e2m1_value(code); }

  static void nearest(const Step& step, const float* x, int64_t n, Code* codes) {
    const float scale = 2.0f * step.scale;  // the smallest is denormal, and its inverse would be infinite
    for (int64_t i = 0; i < n; ++i) codes[i] = e2m1_nearest(search_value(x[i]) / scale);
  }

  static void fit(const float* x, const float* w, std::byte* out) {
    out[0] = static_cast<std::byte>(fit_e8m0(x, w, kSmallBlock));
  }

  static void steps(const std::byte* in, Step* steps) {
    const auto exponent = std::to_integer<uint32_t>(in[0]);
    steps->scale = std::bit_cast<float>(exponent < 2 ? 0x00200000u << exponent : (exponent - 1) << 23);
  }

  static void pack(const Code* codes, std::byte* out) {
    for (int i = 0; i < kHalf; ++i)
      out[1 + i] = static_cast<std::byte>(e2m1_pattern(codes[i]) | e2m1_pattern(codes[i + kHalf]) << 4);
  }

  template <class Fn>
  static void each_code(const std::byte* in, Fn&& fn) {
    const auto code = [](unsigned pattern) { return static_cast<int>(e2m1_code(pattern & 15)); };
    for (int i = 0; i < kHalf; ++i) fn(0, i, code(std::to_integer<unsigned>(in[1 + i])));
    for (int i = 0; i < kHalf; ++i) fn(0, i + kHalf, code(std::to_integer<unsigned>(in[1 + i]) >> 4));
  }
};

}  // namespace

const NumberFormat& gguf_mxfp4_format() {
  static const GgufFormat row({.name = "gguf:mxfp4", .type = kGgmlMxfp4, .file_type = 38}, gguf_block<Mxfp4Block>());
  return row;
}

}  // namespace vernier
