// mxfp4 as compressed-tensors' mxfp4-pack-quantized stores it: e2m1 codes with one power of two per 32 weights of a row.
// Parts: weight_packed U8 [rows, cols / 2], the first of two codes low; weight_scale U8 [rows, cols / 32], E8M0.
// value = e2m1 * 2^(scale - 127)

#include "scheme/e2m1.h"
#include "scheme/e8m0.h"
#include "scheme/number_format.h"

namespace vernier {

namespace {

constexpr int64_t kMxGroup = 32;

class Mxfp4Weight : public Grid {
 public:
  Mxfp4Weight(int64_t rows, int64_t cols)
      : Grid({.rows = rows, .cols = cols, .block_rows = 1, .block_cols = kMxGroup, .segment_cols = kMxGroup},
             kE2m1Top) {}

  void fit(int64_t row, int64_t block, const float* x, int64_t, const float* w, std::byte* stored) const override {
    stored[scale_at(row, block)] = static_cast<std::byte>(fit_e8m0(x, w, kMxGroup));
  }
  void steps(int64_t row, int64_t block, const std::byte* stored, Step* steps) const override {
    steps->scale = scale_of(row, block, stored);
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
      for (int64_t block = 0; block < blocks(); ++block) {
        const int64_t first = row * cols + block * kMxGroup;
        e2m1_values(stored + first / 2, kMxGroup, scale_of(row, block, stored), weight + first);
      }
  }

 private:
  int64_t scale_at(int64_t row, int64_t block) const { return rows * cols / 2 + row * blocks() + block; }
  float scale_of(int64_t row, int64_t block, const std::byte* stored) const {
    return e8m0_value(std::to_integer<uint8_t>(stored[scale_at(row, block)]));
  }
};

class Mxfp4Format : public NumberFormat {
 public:
  std::optional<Parameters> parse(std::string_view text, std::string*) const override {
    return text == "mxfp4" ? std::optional(Parameters{}) : std::nullopt;
  }
  std::string name(const Parameters&) const override { return "mxfp4"; }
  std::string spelling() const override { return "mxfp4"; }
  FormatFacts facts(const Parameters&) const override {
    return {.compressed_tensors = true, .rows_in_sequence = false};
  }
  std::optional<std::string> why_not(const Parameters&, int64_t, int64_t cols) const override {
    return needs_columns_divisible_by(kMxGroup, cols, "mxfp4");
  }
  std::vector<StoredPart> parts(const Parameters&, int64_t rows, int64_t cols) const override {
    return {{.name = "weight_packed",
             .type = "U8",
             .shape = {rows, cols / 2},
             .bytes = static_cast<uint64_t>(rows * cols / 2)},
            {.name = "weight_scale",
             .type = "U8",
             .shape = {rows, cols / kMxGroup},
             .bytes = static_cast<uint64_t>(rows * (cols / kMxGroup))}};
  }
  std::unique_ptr<Grid> grid(const Parameters&, int64_t rows, int64_t cols) const override {
    return std::make_unique<Mxfp4Weight>(rows, cols);
  }
};

}  // namespace

const NumberFormat& mxfp4_format() {
  static const Mxfp4Format row;
  return row;
}

}  // namespace vernier
