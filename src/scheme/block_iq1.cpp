// IQ1_S and IQ1_M: points of eight weights of -1, 0 and 1, moved by an eighth up or down. Read, not written.
//   IQ1_S: fp16 d; 32 bytes of points' low bits; per 32 weights 16 bits: 4 x 3 upper bits, 3 bits of s, the move's sign
//   IQ1_M: 32 bytes of points' low bits; per 8 weights 3 upper bits and the move's sign; 4 x 16 bits, of which each
//          gives four of d (lowest first) and four times three of s, for 16 weights each
//   value = d (2 s + 1) (level + move)

#include "scheme/codebook_points.h"
#include "scheme/gguf_format.h"
#include "scheme/half_float.h"
#include "scheme/little_endian.h"
#include "scheme/super_block.h"

namespace vernier {

namespace {

constexpr int kIq1Run = 8, kIq1Runs = kSuperBlock / kIq1Run;
constexpr float kMove = 0.125f;

int iq1_byte(const std::byte* in, int i) { return std::to_integer<int>(in[i]); }

Step moved(float d, int integer, bool down) {
  return {.scale = d * static_cast<float>(2 * integer + 1), .zero = down ? kMove : -kMove};
}

template <class Layout>
struct Iq1Block {
  static constexpr int kElements = kSuperBlock, kSegments = kIq1Runs, kBytes = Layout::kBytes;
  static constexpr Code kTopCode = 2;
  static float level(Code code) { return static_cast<float>(static_cast<int>(code) - 1); }
  static void steps(const std::byte* in, Step* steps) {
    for (int r = 0; r < kIq1Runs; ++r) steps[r] = Layout::step(in, r);
  }
  template <class Fn>
  static void each_code(const std::byte* in, Fn&& fn) {
    for (int r = 0; r < kIq1Runs; ++r) {
      const int point = iq1_points()[static_cast<size_t>(Layout::point(in, r))];
      for (int i = 0; i < kIq1Run; ++i) fn(r, r * kIq1Run + i, point >> (2 * i) & 3);
    }
  }
};

struct Iq1SLayout {
  static constexpr int kBytes = 50, kLow = 2, kTails = 34;
  static int tail(const std::byte* in, int r) { return load_u16(in + kTails + r / 4 * 2); }
  static int point(const std::byte* in, int r) {
    return iq1_byte(in, kLow + r) | (tail(in, r) >> (r % 4 * 3) & 7) << 8;
  }
  static Step step(const std::byte* in, int r) {
    return moved(half_to_float(load_u16(in)), tail(in, r) >> 12 & 7, (tail(in, r) & 0x8000) != 0);
  }
};

struct Iq1MLayout {
  static constexpr int kBytes = 56, kUpper = 32, kSteps = 48;
  static int upper(const std::byte* in, int r) { return iq1_byte(in, kUpper + r / 2) >> (r % 2 * 4); }
  static int point(const std::byte* in, int r) { return iq1_byte(in, r) | (upper(in, r) & 7) << 8; }
  static Step step(const std::byte* in, int r) {
    unsigned d = 0;
    for (int i = 0; i < 4; ++i) d |= static_cast<unsigned>(load_u16(in + kSteps + 2 * i)) >> 12 << (4 * i);
    const int integer = load_u16(in + kSteps + r / 8 * 2) >> (r % 8 / 2 * 3) & 7;
    return moved(half_to_float(static_cast<uint16_t>(d)), integer, (upper(in, r) & 8) != 0);
  }
};

}  // namespace

const NumberFormat& iq1_m_format() {
  static const GgufFormat row({.name = "gguf:iq1_m",
                               .type = kGgmlIq1M,
                               .file_type = 31,
                               .llama_cpp_rounding = ActivationRounding::kQ8_K,
                               .fallback = "gguf:iq4_nl"},
                              read_only_gguf_block<Iq1Block<Iq1MLayout>>());
  return row;
}

const NumberFormat& iq1_s_format() {
  static const GgufFormat row({.name = "gguf:iq1_s",
                               .type = kGgmlIq1S,
                               .file_type = 24,
                               .llama_cpp_rounding = ActivationRounding::kQ8_K,
                               .fallback = "gguf:iq4_nl"},
                              read_only_gguf_block<Iq1Block<Iq1SLayout>>());
  return row;
}

}  // namespace vernier
