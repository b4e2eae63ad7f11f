// fp8:e4m3 with one float32 scale for a tensor, a row (channel) or a block of 128 x 128 weights, as compressed-tensors'
// float-quantized stores it: weight [rows, cols] in F8_E4M3, weight_scale in F32: [1, 1], [rows, 1] or [rows / 128,
// cols / 128]. value = e4m3 * scale, scale = absmax / 448.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "scheme/e4m3.h"
#include "scheme/little_endian.h"
#include "scheme/number_format.h"

namespace vernier {

namespace {

constexpr int64_t kFp8Block = 128;
constexpr std::string_view kFp8Name = "fp8:e4m3";

enum class Fp8Scales : uint8_t { kTensor, kChannel, kBlock };
constexpr std::string_view kFp8Spellings[] = {"tensor", "channel", "b128"};

Fp8Scales fp8_scales(const SchemeParameters& p) { return static_cast<Fp8Scales>(p[0]); }

class Fp8Weight : public Grid {
 public:
  Fp8Weight(Fp8Scales scales, int64_t rows, int64_t cols)
      : Grid({.rows = rows,
              .cols = cols,
              .block_rows = scales == Fp8Scales::kTensor  ? rows
                            : scales == Fp8Scales::kBlock ? kFp8Block
                                                          : 1,
              .block_cols = scales == Fp8Scales::kBlock ? kFp8Block : cols,
              .segment_cols = scales == Fp8Scales::kBlock ? kFp8Block : cols},
             kE4m3Top) {}

  void fit(int64_t row, int64_t block, const float* x, int64_t stride, const float*, std::byte* stored) const override {
    float peak = 0.0f;
    for (int64_t r = 0; r < block_rows; ++r, x += stride)
      for (int64_t i = 0; i < block_cols; ++i) peak = std::max(peak, std::fabs(x[i]));
    const float scale = peak / kLargestE4m3;
    store_f32(scale == 0.0f ? 1.0f : scale, stored + scale_at(row, block));
  }

  void steps(int64_t row, int64_t block, const std::byte* stored, Step* steps) const override {
    steps->scale = load_f32(stored + scale_at(row, block));
  }

  void nearest(const Step& step, const float* x, int64_t n, Code* codes) const override {
    for (int64_t i = 0; i < n; ++i) codes[i] = e4m3_nearest(x[i] / step.scale);
  }

  float level(Code code) const override { return e4m3_value(e4m3_pattern(code)); }

  void pack_row(int64_t row, const Code* codes, std::byte* stored) const override {
    for (int64_t i = 0; i < cols; ++i) stored[row * cols + i] = static_cast<std::byte>(e4m3_pattern(codes[i]));
  }

  void unpack_row(int64_t row, const std::byte* stored, Code* codes) const override {
    for (int64_t i = 0; i < cols; ++i) codes[i] = e4m3_code(std::to_integer<uint8_t>(stored[row * cols + i]));
  }

  void decode(const std::byte* stored, float* weight) const override {
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t block = 0; block < blocks(); ++block) {
        const float scale = load_f32(stored + scale_at(row, block));
        const int64_t first = row * cols + block * block_cols;
        for (int64_t i = first; i < first + block_cols; ++i)
          weight[i] = e4m3_value(std::to_integer<uint8_t>(stored[i])) * scale;
      }
    }
  }

 private:
  int64_t scale_at(int64_t row, int64_t block) const {
    return rows * cols + (row / block_rows * blocks() + block) * static_cast<int64_t>(sizeof(float));
  }
};

class Fp8Format : public NumberFormat {
 public:
  std::optional<Parameters> parse(std::string_view text, std::string* why) const override {
    if (!text.starts_with("fp8")) return std::nullopt;
    if (!text.starts_with(kFp8Name)) {
      *why = "say which numbers: fp8:e4m3";
      return std::nullopt;
    }
    text.remove_prefix(kFp8Name.size());
    if (text.empty()) return Parameters{static_cast<int64_t>(Fp8Scales::kChannel)};
    for (size_t i = 0; i < std::size(kFp8Spellings); ++i)
      if (text.front() == ':' && text.substr(1) == kFp8Spellings[i]) return Parameters{static_cast<int64_t>(i)};
    *why = fmt::format("cannot read \"{}\"", text);
    return std::nullopt;
  }

  std::string name(const Parameters& p) const override {
    return fmt::format("{}:{}", kFp8Name, kFp8Spellings[static_cast<size_t>(p[0])]);
  }
  std::string spelling() const override { return "fp8:e4m3 with [:tensor|:channel|:b128]"; }

  FormatFacts facts(const Parameters& p) const override {
    return {.compressed_tensors = true,
            .rows_independent = fp8_scales(p) == Fp8Scales::kChannel,
            .rows_in_sequence = false};
  }

  std::string fallback(const Parameters&) const override { return "fp8:e4m3:channel"; }

  std::optional<std::string> why_not(const Parameters& p, int64_t rows, int64_t cols) const override {
    if (fp8_scales(p) != Fp8Scales::kBlock) return std::nullopt;
    if (rows % kFp8Block != 0) return fmt::format("{} needs rows divisible by {}, got {}", name(p), kFp8Block, rows);
    return needs_columns_divisible_by(kFp8Block, cols, name(p));
  }

  std::vector<StoredPart> parts(const Parameters& p, int64_t rows, int64_t cols) const override {
    const Fp8Scales scales = fp8_scales(p);
    const int64_t down = scales == Fp8Scales::kTensor ? 1 : scales == Fp8Scales::kChannel ? rows : rows / kFp8Block;
    const int64_t across = scales == Fp8Scales::kBlock ? cols / kFp8Block : 1;
    return {{.name = "weight", .type = "F8_E4M3", .shape = {rows, cols}, .bytes = static_cast<uint64_t>(rows * cols)},
            {.name = "weight_scale",
             .type = "F32",
             .shape = {down, across},
             .bytes = static_cast<uint64_t>(down * across) * sizeof(float)}};
  }

  std::unique_ptr<Grid> grid(const Parameters& p, int64_t rows, int64_t cols) const override {
    return std::make_unique<Fp8Weight>(fp8_scales(p), rows, cols);
  }
};

}  // namespace

const NumberFormat& fp8_format() {
  static const Fp8Format row;
  return row;
}

}  // namespace vernier
