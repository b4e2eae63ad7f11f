// f32, f16 and bf16: values as they are. Values beyond the largest finite one saturate.
// Codes are the stored bits in rising order of the numbers: those at both ends are infinities and NaN, which nearest()
// never chooses.

#include <bit>

#include "format/ggml_type.h"
#include "scheme/half_float.h"
#include "scheme/little_endian.h"
#include "scheme/number_format.h"

namespace vernier {

namespace {

struct Float32 {
  using Bits = uint32_t;
  static Bits narrow(float x) { return std::bit_cast<uint32_t>(x); }
  static float widen(Bits bits) { return std::bit_cast<float>(bits); }
  static void store(Bits bits, std::byte* out) {
    store_u16(static_cast<uint16_t>(bits), out);
    store_u16(static_cast<uint16_t>(bits >> 16), out + 2);
  }
  static Bits load(const std::byte* in) {
    return static_cast<uint32_t>(load_u16(in)) | static_cast<uint32_t>(load_u16(in + 2)) << 16;
  }
};

struct Half {
  using Bits = uint16_t;
  static Bits narrow(float x) { return float_to_finite_half(x); }
  static float widen(Bits bits) { return half_to_float(bits); }
  static void store(Bits bits, std::byte* out) { store_u16(bits, out); }
  static Bits load(const std::byte* in) { return load_u16(in); }
};

struct BFloat16 {
  using Bits = uint16_t;
  static Bits narrow(float x) {
    const uint16_t bits = float_to_bf16(x);
    const bool overflow = (bits & 0x7fffu) == 0x7f80u;
    return overflow ? static_cast<uint16_t>((bits & 0x8000u) | kMaxBf16Bits) : bits;
  }
  static float widen(Bits bits) { return bf16_to_float(bits); }
  static void store(Bits bits, std::byte* out) { store_u16(bits, out); }
  static Bits load(const std::byte* in) { return load_u16(in); }
};

/// Sign and magnitude to a rising count, and back.
template <class Bits>
Code rising(Bits bits) {
  constexpr Bits kSign = static_cast<Bits>(Bits{1} << (8 * sizeof(Bits) - 1));
  return static_cast<Bits>((bits & kSign) != 0 ? ~bits : bits | kSign);
}
template <class Bits>
Bits from_rising(Code code) {
  constexpr Bits kSign = static_cast<Bits>(Bits{1} << (8 * sizeof(Bits) - 1));
  const Bits bits = static_cast<Bits>(code);
  return static_cast<Bits>((bits & kSign) != 0 ? bits & ~kSign : ~bits);
}

/// One block a row, with nothing to fit.
template <class Float>
class PlainGrid : public Grid {
 public:
  using Bits = typename Float::Bits;
  PlainGrid(int64_t rows, int64_t cols)
      : Grid({.rows = rows, .cols = cols, .block_rows = 1, .block_cols = cols, .segment_cols = cols},
             static_cast<Bits>(~Bits{0})) {}

  void fit(int64_t, int64_t, const float*, int64_t, const float*, std::byte*) const override {}
  void steps(int64_t, int64_t, const std::byte*, Step* steps) const override { *steps = {}; }
  void nearest(const Step& step, const float* x, int64_t n, Code* codes) const override {
    for (int64_t i = 0; i < n; ++i) codes[i] = rising(Float::narrow((x[i] - step.offset) / step.scale + step.zero));
  }
  float level(Code code) const override { return Float::widen(from_rising<Bits>(code)); }
  void pack_row(int64_t row, const Code* codes, std::byte* stored) const override {
    stored += row * cols * kSize;
    for (int64_t i = 0; i < cols; ++i) Float::store(from_rising<Bits>(codes[i]), stored + i * kSize);
  }
  void unpack_row(int64_t row, const std::byte* stored, Code* codes) const override {
    stored += row * cols * kSize;
    for (int64_t i = 0; i < cols; ++i) codes[i] = rising(Float::load(stored + i * kSize));
  }
  void encode(const float* weight, const float*, std::byte* stored) const override {
    for (int64_t i = 0; i < rows * cols; ++i) Float::store(Float::narrow(weight[i]), stored + i * kSize);
  }
  void decode(const std::byte* stored, float* weight) const override {
    for (int64_t i = 0; i < rows * cols; ++i) weight[i] = Float::widen(Float::load(stored + i * kSize));
  }

 private:
  static constexpr int64_t kSize = sizeof(Bits);
};

struct PlainRow {
  std::string_view name, dtype;
  GgufNumbers gguf;
  ActivationRounding llama_cpp_rounding;
};

template <class Float>
class PlainFormat : public NumberFormat {
 public:
  explicit PlainFormat(const PlainRow& row) : row_(row) {}

  std::optional<Parameters> parse(std::string_view text, std::string*) const override {
    constexpr std::string_view kGguf = "gguf:";
    if (text.starts_with(kGguf)) text.remove_prefix(kGguf.size());
    return text == row_.name ? std::optional(Parameters{}) : std::nullopt;
  }
  std::string name(const Parameters&) const override { return std::string(row_.name); }
  std::string spelling() const override { return std::string(row_.name); }
  FormatFacts facts(const Parameters&) const override {
    return {.gguf = row_.gguf, .plain_tensors = true, .llama_cpp_rounding = row_.llama_cpp_rounding};
  }
  std::optional<std::string> why_not(const Parameters&, int64_t, int64_t) const override { return std::nullopt; }
  std::vector<StoredPart> parts(const Parameters&, int64_t rows, int64_t cols) const override {
    const auto bytes = static_cast<uint64_t>(rows * cols) * sizeof(typename Float::Bits);
    return {{.name = "", .type = row_.dtype, .shape = {rows, cols}, .bytes = bytes}};
  }
  std::unique_ptr<Grid> grid(const Parameters&, int64_t rows, int64_t cols) const override {
    return std::make_unique<PlainGrid<Float>>(rows, cols);
  }

 private:
  const PlainRow row_;
};

}  // namespace

const NumberFormat& f32_format() {
  static const PlainFormat<Float32> row(
      {.name = "f32", .dtype = "F32", .gguf = {kGgmlF32, 0}, .llama_cpp_rounding = ActivationRounding::kNone});
  return row;
}

const NumberFormat& f16_format() {
  static const PlainFormat<Half> row(
      {.name = "f16", .dtype = "F16", .gguf = {kGgmlF16, 1}, .llama_cpp_rounding = ActivationRounding::kHalf});
  return row;
}

const NumberFormat& bf16_format() {
  static const PlainFormat<BFloat16> row(
      {.name = "bf16", .dtype = "BF16", .gguf = {kGgmlBf16, 32}, .llama_cpp_rounding = ActivationRounding::kBFloat16});
  return row;
}

}  // namespace vernier
