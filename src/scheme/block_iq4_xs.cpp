// IQ4_XS: 8 sub-blocks of 32 with 6-bit scales s - 32 and the codebook of IQ4_NL.
//   fp16 d, 16 bits of scales' two upper bits, 4 bytes of their low nibbles, 8 x 16 bytes of codes as IQ4_NL's

#include "scheme/gguf_format.h"
#include "scheme/half_float.h"
#include "scheme/iq4_levels.h"
#include "scheme/little_endian.h"
#include "scheme/super_block.h"

namespace vernier {

namespace {

class Iq4SubBlocks : public SubBlocks {
 public:
  Iq4SubBlocks(const float* x, const float* w) : x_(x), w_(w) {}

  int count() const override { return kSuperBlock / kIq4Weights; }
  float ideal(int j) const override { return iq4_best_scale(x_ + j * kIq4Weights, w_ + j * kIq4Weights); }
  float error(int j, float scale) const override {
    return iq4_error(x_ + j * kIq4Weights, w_ + j * kIq4Weights, scale);
  }
  CodeSums sums(int j, float scale) const override {
    return iq4_sums(x_ + j * kIq4Weights, w_ + j * kIq4Weights, scale);
  }

 private:
  const float* const x_;
  const float* const w_;
};

struct Iq4XsBlock {
  static constexpr int kElements = kSuperBlock, kSegments = kSuperBlock / kIq4Weights, kBytes = 136;
  static constexpr int kUpper = 2, kLow = 4, kCodes = 8, kOffset = 32;
  static constexpr Code kTopCode = kIq4Levels.size() - 1;

  static float level(Code code) { return kIq4Levels[code]; }

  static void nearest(const Step& step, const float* x, int64_t n, Code* codes) { iq4_nearest(step, x, n, codes); }

  static void fit(const float* x, const float* w, std::byte* out) {
    store_parts(
        parts_of(fit_ladder({.lowest = kParts.scale.lowest, .highest = kParts.scale.highest}, Iq4SubBlocks(x, w))),
        out);
  }

  static constexpr StepPartsShape kParts = {.scale = {-kOffset, kOffset - 1}};
  static void store_parts(const StepParts& parts, std::byte* out) {
    store_u16(float_to_half(parts.d), out);
    unsigned upper = 0;
    for (int i = 0; i < kCodes - kLow; ++i) out[kLow + i] = std::byte{0};
    for (int j = 0; j < kSegments; ++j) {
      const auto stored = static_cast<unsigned>(parts.scale[static_cast<size_t>(j)] + kOffset);
      out[kLow + j / 2] |= static_cast<std::byte>((stored & 15) << (j % 2 * 4));
      upper |= stored >> 4 << (2 * j);
    }
    store_u16(static_cast<uint16_t>(upper), out + kUpper);
  }

  static StepParts parts(const std::byte* in) {
    StepParts parts{.d = half_to_float(load_u16(in))};
    for (int j = 0; j < kSegments; ++j) {
      const int low = std::to_integer<int>(in[kLow + j / 2]) >> (j % 2 * 4) & 15;
      const int upper = load_u16(in + kUpper) >> (2 * j) & 3;
      parts.scale[static_cast<size_t>(j)] = (low | upper << 4) - kOffset;
    }
    return parts;
  }
  static void steps(const std::byte* in, Step* steps) { product_steps<Iq4XsBlock>(in, steps); }

  static void pack(const Code* codes, std::byte* out) {
    for (int j = 0; j < kSegments; ++j) pack_iq4(codes + j * kIq4Weights, out + kCodes + j * kIq4Weights / 2);
  }

  template <class Fn>
  static void each_code(const std::byte* in, Fn&& fn) {
    for (int j = 0; j < kSegments; ++j)
      each_iq4_code(in + kCodes + j * kIq4Weights / 2, [&](int i, int code) { fn(j, j * kIq4Weights + i, code); });
  }
};

}  // namespace

const NumberFormat& iq4_xs_format() {
  static const GgufFormat row({.name = "gguf:iq4_xs",
                               .type = kGgmlIq4Xs,
                               .file_type = 30,
                               .llama_cpp_rounding = ActivationRounding::kQ8_K,
                               .fallback = "gguf:iq4_nl"},
                              gguf_block<Iq4XsBlock>());
  return row;
}

}  // namespace vernier
