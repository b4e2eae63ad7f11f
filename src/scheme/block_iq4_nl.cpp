// IQ4_NL: blocks of 32 weights with one fp16 scale d and codes of 4 bits into the codebook of iq4_levels.h.
//   d, 16 bytes: byte i holds weight i low and weight i + 16 high; value = d * level

#include "scheme/gguf_format.h"
#include "scheme/half_float.h"
#include "scheme/iq4_levels.h"
#include "scheme/little_endian.h"

namespace vernier {

namespace {

constexpr int kIq4Rounds = 3;  // of: round to fp16, choose codes, least squares

struct Iq4NlBlock {
  static constexpr int kElements = kIq4Weights, kSegments = 1, kBytes = 18;
  static constexpr Code kTopCode = kIq4Levels.size() - 1;

  static float level(Code code) { return kIq4Levels[code]; }

  static void nearest(const Step& step, const float* x, int64_t n, Code* codes) { iq4_nearest(step, x, n, codes); }

  static void fit(const float* x, const float* w, std::byte* out) {
    float scale = round_to_half(iq4_best_scale(x, w)), error = iq4_error(x, w, scale);
    for (int round = 0; round < kIq4Rounds; ++round) {
      const CodeSums sums = iq4_sums(x, w, scale);
      const double qq = sums.qq, qx = sums.qx;
      const float next = round_to_half(static_cast<float>(qx / qq));
      const float next_error = iq4_error(x, w, next);
      if (!(next_error < error)) break;
      scale = next;
      error = next_error;
    }
    store_u16(float_to_half(scale), out);
  }

  static constexpr StepPartsShape kParts = {};
  static void store_parts(const StepParts& parts, std::byte* out) { store_u16(float_to_half(parts.d), out); }
  static StepParts parts(const std::byte* in) { return {.d = half_to_float(load_u16(in)), .scale = {1}}; }
  static void steps(const std::byte* in, Step* steps) { product_steps<Iq4NlBlock>(in, steps); }
  static void pack(const Code* codes, std::byte* out) { pack_iq4(codes, out + 2); }

  template <class Fn>
  static void each_code(const std::byte* in, Fn&& fn) {
    each_iq4_code(in + 2, [&](int i, int code) { fn(0, i, code); });
  }
};

}  // namespace

const NumberFormat& iq4_nl_format() {
  static const GgufFormat row({.name = "gguf:iq4_nl", .type = kGgmlIq4Nl, .file_type = 25}, gguf_block<Iq4NlBlock>());
  return row;
}

}  // namespace vernier
