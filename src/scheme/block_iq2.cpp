// IQ2_XXS, IQ2_XS and IQ2_S: points of eight weights, magnitudes 8, 25 and 43 an eighth of d (2 s + 1) apart.
//   IQ2_XXS: fp16 d; per 32 weights 4 bytes of points out of 256, then 4 x 7 sign bits and 4 bits of s
//   IQ2_XS: fp16 d; per 8 weights 16 bits, 9 of a point out of 512 and 7 sign bits; per 16 weights 4 bits of s
//   IQ2_S: fp16 d; 32 bytes of points' low bits, 32 of signs, 8 of points' two upper bits, 8 of s for 16 weights each
// Of seven sign bits the eighth makes the number of negative weights even.

#include <bit>

#include "scheme/codebook_block.h"
#include "scheme/codebook_points.h"

namespace vernier {

namespace {

constexpr float kIq2Magnitudes[] = {8, 25, 43};
constexpr ScaleLadder kIq2Ladder = {.lowest = 0, .highest = 15, .slope = 2, .intercept = 1, .unit = 0.125f};

int iq2_byte(const std::byte* in, int i) { return std::to_integer<int>(in[i]); }

/// Seven signs with the eighth that makes their number even.
uint8_t all_signs(int seven) {
  return static_cast<uint8_t>(seven | (std::popcount(static_cast<unsigned>(seven)) % 2) << 7);
}

int iq2_nibble(const std::byte* in, int i) { return iq2_byte(in, i / 2) >> (i % 2 * 4) & 15; }
void add_iq2_nibble(int value, int i, std::byte* out) { out[i / 2] |= static_cast<std::byte>(value << (i % 2 * 4)); }

struct Iq2XxsLayout {
  static constexpr int kSegments = 8, kBytes = 66;
  static constexpr ScaleLadder kLadder = kIq2Ladder;

  static const Codebook& book() {
    static const Codebook book(iq2_xxs_points(), kIq2Magnitudes, Codebook::Signs::kEven);
    return book;
  }
  /// The segment's four bytes of points, then its signs and scale.
  static int at(int segment) { return 2 + 8 * segment; }
  static uint32_t load_tail(const std::byte* in, int segment) {
    return load_u16(in + at(segment) + 4) | static_cast<uint32_t>(load_u16(in + at(segment) + 6)) << 16;
  }
  static void store_tail(uint32_t tail, int segment, std::byte* out) {
    store_u16(static_cast<uint16_t>(tail), out + at(segment) + 4);
    store_u16(static_cast<uint16_t>(tail >> 16), out + at(segment) + 6);
  }
  static void store_run(const Codebook::Run& run, int r, std::byte* out) {
    out[at(r / 4) + r % 4] = static_cast<std::byte>(run.points[0]);
    const int shift = r % 4 * 7;
    const uint32_t rest = load_tail(out, r / 4) & ~(127u << shift);
    store_tail(rest | static_cast<uint32_t>(run.signs & 127) << shift, r / 4, out);
  }
  static Codebook::Run load_run(const std::byte* in, int r) {
    const int seven = static_cast<int>(load_tail(in, r / 4) >> (r % 4 * 7) & 127u);
    return {.points = {iq2_byte(in, at(r / 4) + r % 4), 0}, .signs = all_signs(seven)};
  }
  static void store_step(int integer, int s, std::byte* out) {
    store_tail(static_cast<uint32_t>(integer) << 28, s, out);
  }
  static int load_step(const std::byte* in, int s) { return static_cast<int>(load_tail(in, s) >> 28); }
};

struct Iq2XsLayout {
  static constexpr int kSegments = 16, kBytes = 74, kSteps = 66;
  static constexpr ScaleLadder kLadder = kIq2Ladder;

  static const Codebook& book() {
    static const Codebook book(iq2_xs_points(), kIq2Magnitudes, Codebook::Signs::kEven);
    return book;
  }
  static void store_run(const Codebook::Run& run, int r, std::byte* out) {
    store_u16(static_cast<uint16_t>(run.points[0] | (run.signs & 127) << 9), out + 2 + 2 * r);
  }
  static Codebook::Run load_run(const std::byte* in, int r) {
    const int both = load_u16(in + 2 + 2 * r);
    return {.points = {both & 511, 0}, .signs = all_signs(both >> 9)};
  }
  static void store_step(int integer, int s, std::byte* out) { add_iq2_nibble(integer, s, out + kSteps); }
  static int load_step(const std::byte* in, int s) { return iq2_nibble(in + kSteps, s); }
};

struct Iq2SLayout {
  static constexpr int kSegments = 16, kBytes = 82;
  static constexpr int kLow = 2, kSigns = 34, kUpper = 66, kSteps = 74;  // byte offsets
  static constexpr ScaleLadder kLadder = kIq2Ladder;

  static const Codebook& book() {
    static const Codebook book(iq2_s_points(), kIq2Magnitudes, Codebook::Signs::kFree);
    return book;
  }
  static void store_run(const Codebook::Run& run, int r, std::byte* out) {
    out[kLow + r] = static_cast<std::byte>(run.points[0]);
    out[kSigns + r] = static_cast<std::byte>(run.signs);
    std::byte& upper = out[kUpper + r / 4];
    upper &= static_cast<std::byte>(~(3 << (r % 4 * 2)));
    upper |= static_cast<std::byte>(run.points[0] >> 8 << (r % 4 * 2));
  }
  static Codebook::Run load_run(const std::byte* in, int r) {
    const int upper = iq2_byte(in, kUpper + r / 4) >> (r % 4 * 2) & 3;
    return {.points = {iq2_byte(in, kLow + r) | upper << 8, 0}, .signs = static_cast<uint8_t>(in[kSigns + r])};
  }
  static void store_step(int integer, int s, std::byte* out) { add_iq2_nibble(integer, s, out + kSteps); }
  static int load_step(const std::byte* in, int s) { return iq2_nibble(in + kSteps, s); }
};

}  // namespace

const NumberFormat& iq2_xxs_format() {
  static const GgufFormat row({.name = "gguf:iq2_xxs",
                               .type = kGgmlIq2Xxs,
                               .file_type = 19,
                               .llama_cpp_rounding = ActivationRounding::kQ8_K,
                               .fallback = "gguf:iq4_nl"},
                              codebook_block<Iq2XxsLayout>());
  return row;
}

const NumberFormat& iq2_xs_format() {
  static const GgufFormat row({.name = "gguf:iq2_xs",
                               .type = kGgmlIq2Xs,
                               .file_type = 20,
                               .llama_cpp_rounding = ActivationRounding::kQ8_K,
                               .fallback = "gguf:iq4_nl"},
                              codebook_block<Iq2XsLayout>());
  return row;
}

const NumberFormat& iq2_s_format() {
  static const GgufFormat row({.name = "gguf:iq2_s",
                               .type = kGgmlIq2S,
                               .file_type = 28,
                               .llama_cpp_rounding = ActivationRounding::kQ8_K,
                               .fallback = "gguf:iq4_nl"},
                              codebook_block<Iq2SLayout>());
  return row;
}

}  // namespace vernier
