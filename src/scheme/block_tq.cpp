// TQ1_0 and TQ2_0: 256 weights of -d, 0 and d, for models that were trained so. Read, not written.
//   TQ1_0: 48 + 4 bytes of five (the last four: four) base-3 digits as a fixed-point fraction, fp16 d
//   TQ2_0: 64 bytes of four times two bits, fp16 d

#include "scheme/gguf_format.h"
#include "scheme/half_float.h"
#include "scheme/little_endian.h"
#include "scheme/super_block.h"

namespace vernier {

namespace {

struct Tq1Block {
  static constexpr int kElements = kSuperBlock, kSegments = 1, kBytes = 54;
  static constexpr Code kTopCode = 2;
  static float level(Code code) { return static_cast<float>(static_cast<int>(code) - 1); }
  static void steps(const std::byte* in, Step* steps) { steps->scale = half_to_float(load_u16(in + kBytes - 2)); }

  /// Runs of bytes whose n-th digits are the n-th run of as many weights.
  template <class Fn>
  static void each_code(const std::byte* in, Fn&& fn) {
    int weight = 0;
    const struct { int bytes, digits; } runs[] = {{32, 5}, {16, 5}, {4, 4}};
    for (const auto& run : runs) {
      for (int digit = 0, power = 1; digit < run.digits; ++digit, power *= 3) {
        for (int i = 0; i < run.bytes; ++i, ++weight) {
          const int fraction = std::to_integer<int>(in[i]) * power & 255;  // the digits behind this one are left
          fn(0, weight, fraction * 3 >> 8);
        }
      }
      in += run.bytes;
    }
  }
};

struct Tq2Block {
  static constexpr int kElements = kSuperBlock, kSegments = 1, kBytes = 66;
  static constexpr Code kTopCode = 3;  // 2 d has a code, too
  static float level(Code code) { return static_cast<float>(static_cast<int>(code) - 1); }
  static void steps(const std::byte* in, Step* steps) { steps->scale = half_to_float(load_u16(in + kBytes - 2)); }

  template <class Fn>
  static void each_code(const std::byte* in, Fn&& fn) {
    for (int i = 0; i < kSuperBlock; ++i) {
      const int byte = i / 128 * 32 + i % 32;
      fn(0, i, std::to_integer<int>(in[byte]) >> (i % 128 / 32 * 2) & 3);
    }
  }
};

}  // namespace

const NumberFormat& tq2_0_format() {
  static const GgufFormat row({.name = "gguf:tq2_0",
                               .type = kGgmlTq2_0,
                               .file_type = 37,
                               .llama_cpp_rounding = ActivationRounding::kQ8_K,
                               .fallback = "gguf:q4_0"},
                              read_only_gguf_block<Tq2Block>());
  return row;
}

const NumberFormat& tq1_0_format() {
  static const GgufFormat row({.name = "gguf:tq1_0",
                               .type = kGgmlTq1_0,
                               .file_type = 36,
                               .llama_cpp_rounding = ActivationRounding::kQ8_K,
                               .fallback = "gguf:q4_0"},
                              read_only_gguf_block<Tq1Block>());
  return row;
}

}  // namespace vernier
