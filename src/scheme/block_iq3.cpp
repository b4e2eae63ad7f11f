// IQ3_XXS and IQ3_S: points of four weights, eight magnitudes.
//   IQ3_XXS: fp16 d; 64 bytes of points out of 256; per 32 weights 4 x 7 sign bits and 4 bits of s;
//            value = d / 4 (2 s + 1) * magnitude, and the eighth sign makes the number of negative ones even
//   IQ3_S: fp16 d; 64 bytes of points' low bits, 8 of their ninth, 32 of signs, 4 of s for 32 weights each;
//          value = d (2 s + 1) * magnitude

#include <bit>

#include "scheme/codebook_block.h"
#include "scheme/codebook_points.h"

namespace vernier {

namespace {

constexpr float kIq3XxsMagnitudes[] = {4, 12, 20, 28, 36, 44, 52, 62};
constexpr float kIq3SMagnitudes[] = {1, 3, 5, 7, 9, 11, 13, 15};

int iq3_byte(const std::byte* in, int i) { return std::to_integer<int>(in[i]); }

struct Iq3XxsLayout {
  static constexpr int kSegments = 8, kBytes = 98, kTails = 66;
  static constexpr ScaleLadder kLadder = {.lowest = 0, .highest = 15, .slope = 2, .intercept = 1, .unit = 0.25f};

  static const Codebook& book() {
    static const Codebook book(iq3_xxs_points(), kIq3XxsMagnitudes, Codebook::Signs::kEven);
    return book;
  }
  static uint32_t load_tail(const std::byte* in, int segment) {
    in += kTails + 4 * segment;
    return load_u16(in) | static_cast<uint32_t>(load_u16(in + 2)) << 16;
  }
  static void store_tail(uint32_t tail, int segment, std::byte* out) {
    out += kTails + 4 * segment;
    store_u16(static_cast<uint16_t>(tail), out);
    store_u16(static_cast<uint16_t>(tail >> 16), out + 2);
  }
  static void store_run(const Codebook::Run& run, int r, std::byte* out) {
    for (int p = 0; p < 2; ++p) out[2 + 2 * r + p] = static_cast<std::byte>(run.points[static_cast<size_t>(p)]);
    const int shift = r % 4 * 7;
    const uint32_t rest = load_tail(out, r / 4) & ~(127u << shift);
    store_tail(rest | static_cast<uint32_t>(run.signs & 127) << shift, r / 4, out);
  }
  static Codebook::Run load_run(const std::byte* in, int r) {
    const auto seven = load_tail(in, r / 4) >> (r % 4 * 7) & 127u;
    return {.points = {iq3_byte(in, 2 + 2 * r), iq3_byte(in, 3 + 2 * r)},
            .signs = static_cast<uint8_t>(seven | static_cast<unsigned>(std::popcount(seven) % 2) << 7)};
  }
  static void store_step(int integer, int s, std::byte* out) {
    store_tail(static_cast<uint32_t>(integer) << 28, s, out);
  }
  static int load_step(const std::byte* in, int s) { return static_cast<int>(load_tail(in, s) >> 28); }
};

struct Iq3SLayout {
  static constexpr int kSegments = 8, kBytes = 110;
  static constexpr int kLow = 2, kNinth = 66, kSigns = 74, kSteps = 106;  // byte offsets
  static constexpr ScaleLadder kLadder = {.lowest = 0, .highest = 15, .slope = 2, .intercept = 1, .unit = 1.0f};

  static const Codebook& book() {
    static const Codebook book(iq3_s_points(), kIq3SMagnitudes, Codebook::Signs::kFree);
    return book;
  }
  static void store_run(const Codebook::Run& run, int r, std::byte* out) {
    for (int p = 0; p < 2; ++p) {
      const int point = run.points[static_cast<size_t>(p)], at = 2 * r + p;
      out[kLow + at] = static_cast<std::byte>(point);
      std::byte& ninth = out[kNinth + at / 8];
      ninth &= static_cast<std::byte>(~(1 << (at % 8)));
      ninth |= static_cast<std::byte>(point >> 8 << (at % 8));
    }
    out[kSigns + r] = static_cast<std::byte>(run.signs);
  }
  static Codebook::Run load_run(const std::byte* in, int r) {
    const auto point = [in](int at) {
      return iq3_byte(in, kLow + at) | (iq3_byte(in, kNinth + at / 8) >> (at % 8) & 1) << 8;
    };
    return {.points = {point(2 * r), point(2 * r + 1)}, .signs = static_cast<uint8_t>(in[kSigns + r])};
  }
  static void store_step(int integer, int s, std::byte* out) {
    out[kSteps + s / 2] |= static_cast<std::byte>(integer << (s % 2 * 4));
  }
  static int load_step(const std::byte* in, int s) { return iq3_byte(in, kSteps + s / 2) >> (s % 2 * 4) & 15; }
};

}  // namespace

const NumberFormat& iq3_xxs_format() {
  static const GgufFormat row({.name = "gguf:iq3_xxs",
                               .type = kGgmlIq3Xxs,
                               .file_type = 23,
                               .llama_cpp_rounding = ActivationRounding::kQ8_K,
                               .fallback = "gguf:iq4_nl"},
                              codebook_block<Iq3XxsLayout>());
  return row;
}

const NumberFormat& iq3_s_format() {
  static const GgufFormat row({.name = "gguf:iq3_s",
                               .type = kGgmlIq3S,
                               .file_type = 26,
                               .llama_cpp_rounding = ActivationRounding::kQ8_K,
                               .fallback = "gguf:iq4_nl"},
                              codebook_block<Iq3SLayout>());
  return row;
}

}  // namespace vernier
