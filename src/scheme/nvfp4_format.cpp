// nvfp4 as compressed-tensors' nvfp4-pack-quantized stores it: e2m1 codes, an e4m3 scale per 16 weights of a row, and one
// float32 number that all of these are divided by.
// Parts: weight_packed U8 [rows, cols / 2], the first of two codes low; weight_scale F8_E4M3 [rows, cols / 16];
// weight_global_scale F32 [1, 1], 448 * 6 / absmax. value = e2m1 * (weight_scale / weight_global_scale)

#include <algorithm>
#include <cmath>

#include "scheme/e2m1.h"
#include "scheme/e4m3.h"
#include "scheme/little_endian.h"
#include "scheme/number_format.h"

namespace vernier {

namespace {

constexpr int64_t kNvGroup = 16;
/// Scales tried per group: patterns below the one that spans its weights clip them, those above waste levels.
constexpr int kNvBelow = 7, kNvAbove = 3;
constexpr float kLargestNvWeight = 3e38f;  // with a larger one the product of scale and code could overflow

/// The scale's pattern of least sum w (value - x)^2. @shape x, w [kNvGroup]
uint8_t fit_nv_scale(const float* x, const float* w, float global) {
  float peak = 0.0f;
  for (int i = 0; i < kNvGroup; ++i) peak = std::max(peak, std::fabs(x[i]));
  if (peak == 0.0f) return 0;
  const int spanning = e4m3_magnitude(peak / kLargestE2m1 * global);
  uint8_t best = 0;
  double best_error = std::numeric_limits<double>::infinity();
  for (int p = std::max(1, spanning - kNvBelow); p <= std::min<int>(kLargestE4m3Pattern, spanning + kNvAbove); ++p) {
    const float scale = e4m3_value(static_cast<uint8_t>(p)) / global;
    double error = 0.0;
    for (int i = 0; i < kNvGroup; ++i) {
      Code code = 0;
      nearest_e2m1(scale, x + i, 1, &code);
      const double difference = static_cast<double>(scale) * e2m1_value(code) - x[i];
      error += w[i] * difference * difference;
    }
    if (!(error < best_error)) continue;
    best_error = error;
    best = static_cast<uint8_t>(p);
  }
  return best;
}

class Nvfp4Weight : public Grid {
 public:
  /// One block is the whole weight: the number that all scales share is chosen first.
  Nvfp4Weight(int64_t rows, int64_t cols)
      : Grid({.rows = rows, .cols = cols, .block_rows = rows, .block_cols = cols, .segment_cols = kNvGroup}, kE2m1Top) {
  }

  void fit(int64_t, int64_t, const float* x, int64_t stride, const float* w, std::byte* stored) const override {
    float peak = 0.0f;
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t i = 0; i < cols; ++i) peak = std::max(peak, std::fabs(x[row * stride + i]));
    const float global = peak == 0.0f ? 1.0f
                                      : std::min(kLargestE4m3 * kLargestE2m1 / std::min(peak, kLargestNvWeight),
                                                 std::numeric_limits<float>::max());
    store_f32(global, stored + global_at());
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t s = 0; s < segments(); ++s)
        stored[scale_at(row, s)] =
            static_cast<std::byte>(fit_nv_scale(x + row * stride + s * kNvGroup, w + s * kNvGroup, global));
  }
  void steps(int64_t row, int64_t, const std::byte* stored, Step* steps) const override {
    for (int64_t s = 0; s < segments(); ++s) steps[s].scale = scale_of(row, s, stored);
  }
  void nearest(const Step& step, const float* x, int64_t n, Code* codes) const override {
    nearest_e2m1(step.scale, x, n, codes);
  }
  float level(Code code) const override { return e2m1_value(code); }
  void pack_row(int64_t row, const Code* codes, std::byte* stored) const override {
    pack_e2m1(codes, cols, stored + row * cols / 2);
  }
  void unpack_row(int64_t row, const std::byte* stored, Code* codes) const override {
    unpack_e2m1(stored + row * cols / 2, cols, codes);
  }
  void decode(const std::byte* stored, float* weight) const override {
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t s = 0; s < segments(); ++s) {
        const int64_t first = row * cols + s * kNvGroup;
        e2m1_values(stored + first / 2, kNvGroup, scale_of(row, s, stored), weight + first);
      }
  }

 private:
  int64_t scale_at(int64_t row, int64_t segment) const { return rows * cols / 2 + row * segments() + segment; }
  int64_t global_at() const { return scale_at(rows, 0); }
  float scale_of(int64_t row, int64_t segment, const std::byte* stored) const {
    return e4m3_value(std::to_integer<uint8_t>(stored[scale_at(row, segment)])) / load_f32(stored + global_at());
  }
};

class Nvfp4Format : public NumberFormat {
 public:
  std::optional<Parameters> parse(std::string_view text, std::string*) const override {
    return text == "nvfp4" ? std::optional(Parameters{}) : std::nullopt;
  }
  std::string name(const Parameters&) const override { return "nvfp4"; }
  std::string spelling() const override { return "nvfp4"; }
  FormatFacts facts(const Parameters&) const override {
    return {.compressed_tensors = true, .rows_independent = false, .rows_in_sequence = false};
  }
  std::optional<std::string> why_not(const Parameters&, int64_t, int64_t cols) const override {
    return needs_columns_divisible_by(kNvGroup, cols, "nvfp4");
  }
  std::vector<StoredPart> parts(const Parameters&, int64_t rows, int64_t cols) const override {
    return {{.name = "weight_packed",
             .type = "U8",
             .shape = {rows, cols / 2},
             .bytes = static_cast<uint64_t>(rows * cols / 2)},
            {.name = "weight_scale",
             .type = "F8_E4M3",
             .shape = {rows, cols / kNvGroup},
             .bytes = static_cast<uint64_t>(rows * (cols / kNvGroup))},
            {.name = "weight_global_scale", .type = "F32", .shape = {1, 1}, .bytes = sizeof(float)}};
  }
  std::unique_ptr<Grid> grid(const Parameters&, int64_t rows, int64_t cols) const override {
    return std::make_unique<Nvfp4Weight>(rows, cols);
  }
};

}  // namespace

const NumberFormat& nvfp4_format() {
  static const Nvfp4Format row;
  return row;
}

}  // namespace vernier
