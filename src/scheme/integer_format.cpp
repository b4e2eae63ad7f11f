#include "scheme/integer_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "scheme/half_float.h"
#include "scheme/little_endian.h"
#include "scheme/number_format.h"
#include "scheme/packing.h"

namespace vernier {

namespace {

constexpr int64_t kLargestGroup = int64_t{1} << 30;

SchemeParameters as_parameters(const IntegerParameters& p) {
  return {p.bits, static_cast<int64_t>(p.granularity), static_cast<int64_t>(p.symmetry), p.group};
}

IntegerParameters from_parameters(const SchemeParameters& p) {
  return {.bits = static_cast<int>(p[0]),
          .granularity = static_cast<Granularity>(p[1]),
          .symmetry = static_cast<Symmetry>(p[2]),
          .group = p[3]};
}

std::optional<int64_t> parse_number(std::string_view text, int64_t min, int64_t max) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < min || value > max) return std::nullopt;
  return value;
}

std::string_view take_field(std::string_view& text) {
  const size_t colon = text.find(':');
  const std::string_view field = text.substr(0, colon);
  text = colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
  return field;
}

/// Where a weight's parts begin, and its shape in groups. Scales are [scale_rows, groups].
struct Layout {
  int64_t scale_rows, groups;
  size_t row_bytes, scales, zero_points, end;
};

Layout layout_of(const IntegerParameters& p, int64_t rows, int64_t cols) {
  Layout at{.scale_rows = p.granularity == Granularity::kTensor ? 1 : rows,
            .groups = cols / p.group_size(cols),
            .row_bytes = packed_bytes(p.bits, cols),
            .scales = static_cast<size_t>(rows) * packed_bytes(p.bits, cols),
            .zero_points = 0,
            .end = 0};
  at.zero_points = at.scales + static_cast<size_t>(at.scale_rows * at.groups) * sizeof(uint16_t);
  const bool stored = p.symmetry == Symmetry::kAsymmetric;
  at.end = at.zero_points + (stored ? packed_bytes(p.bits, at.scale_rows) * static_cast<size_t>(at.groups) : 0);
  return at;
}

class IntegerWeight : public Grid {
 public:
  IntegerWeight(const IntegerParameters& p, int64_t rows, int64_t cols)
      : Grid({.rows = rows,
              .cols = cols,
              .block_rows = p.granularity == Granularity::kTensor ? rows : 1,
              .block_cols = p.group_size(cols),
              .segment_cols = p.group_size(cols)},
             (Code{1} << p.bits) - 1),
        p_(p),
        at_(layout_of(p, rows, cols)),
        half_(1 << (p.bits - 1)) {}

  void fit(int64_t row, int64_t block, const float* x, int64_t stride, const float*, std::byte* stored) const override {
    float min = 0.0f, max = 0.0f;  // zero is always inside
    for (int64_t r = 0; r < block_rows; ++r, x += stride) {
      for (int64_t i = 0; i < block_cols; ++i) {
        min = x[i] < min ? x[i] : min;
        max = x[i] > max ? x[i] : max;
      }
    }
    const IntegerGrid grid = fit_integer_grid(p_.bits, p_.symmetry, min, max);
    store_u16(grid.scale, stored + scale_at(row, block));
    if (p_.symmetry == Symmetry::kAsymmetric)
      store_code(static_cast<Code>(grid.zero_point), p_.bits, scale_row(row), stored + zero_points_at(block),
                 zero_point_stride());
  }

  void steps(int64_t row, int64_t block, const std::byte* stored, Step* steps) const override {
    steps->scale = bf16_to_float(load_u16(stored + scale_at(row, block)));
    if (p_.symmetry == Symmetry::kAsymmetric)
      steps->zero = level(load_code(stored + zero_points_at(block), p_.bits, scale_row(row), zero_point_stride()));
  }

  PlainScale plain_scale() const override { return PlainScale::kBFloat16; }

  void store_scale(int64_t row, int64_t block, float scale, std::byte* stored) const override {
    store_u16(float_to_bf16(scale), stored + scale_at(row, block));
  }

  /// Ties go to the even *signed* code, as in compressed-tensors, so the offset is added after rounding.
  void nearest(const Step& step, const float* x, int64_t n, Code* codes) const override {
    const int half = half_;
    const auto lowest = static_cast<float>(p_.symmetry == Symmetry::kSymNoClip ? 1 - half : -half);
    const auto highest = static_cast<float>(half - 1);
    const float scale = step.scale, zero = step.zero;
    for (int64_t i = 0; i < n; ++i) {
      float t = x[i] / scale + zero;
      t = t < lowest ? lowest : t;
      t = t > highest ? highest : t;
      codes[i] = static_cast<Code>(static_cast<int>(round_even(t)) + half);
    }
  }

  float level(Code code) const override { return static_cast<float>(static_cast<int>(code) - half_); }

  void pack_row(int64_t row, const Code* codes, std::byte* stored) const override {
    pack_codes({codes, static_cast<size_t>(cols)}, p_.bits, stored + static_cast<size_t>(row) * at_.row_bytes);
  }

  void unpack_row(int64_t row, const std::byte* stored, Code* codes) const override {
    unpack_codes(stored + static_cast<size_t>(row) * at_.row_bytes, p_.bits, {codes, static_cast<size_t>(cols)});
  }

  void encode(const float* weight, const float* w, std::byte* stored) const override {
    std::fill(stored + at_.zero_points, stored + at_.end, std::byte{0});  // the padding of the last words
    Grid::encode(weight, w, stored);
  }

  void decode(const std::byte* stored, float* weight) const override {
    std::vector<Code> codes(static_cast<size_t>(cols));
    for (int64_t row = 0; row < rows; ++row) {
      unpack_row(row, stored, codes.data());
      for (int64_t block = 0; block < blocks(); ++block) {
        Step step;
        steps(row, block, stored, &step);
        const int zero_point = static_cast<int>(step.zero) + half_;
        const int64_t first = block * block_cols;
        float* out = weight + row * cols + first;
        const Code* of_block = codes.data() + first;
        for (int64_t i = 0; i < block_cols; ++i)
          out[i] = static_cast<float>(static_cast<int>(of_block[i]) - zero_point) * step.scale;
      }
    }
  }

 private:
  int64_t scale_row(int64_t row) const { return at_.scale_rows == 1 ? 0 : row; }
  size_t scale_at(int64_t row, int64_t block) const {
    return at_.scales + sizeof(uint16_t) * static_cast<size_t>(scale_row(row) * at_.groups + block);
  }
  size_t zero_points_at(int64_t block) const { return at_.zero_points + 4 * static_cast<size_t>(block); }
  size_t zero_point_stride() const { return 4 * static_cast<size_t>(at_.groups); }

  const IntegerParameters p_;
  const Layout at_;
  const int half_;
};

class IntegerFormat : public NumberFormat {
 public:
  std::optional<Parameters> parse(std::string_view text, std::string* why) const override {
    std::string_view rest = text;
    const std::string_view type = take_field(rest);
    const auto bits = type.starts_with("int") ? parse_number(type.substr(3), 2, 8) : std::nullopt;
    if (!bits || type.size() != 4) return std::nullopt;
    if (text.ends_with(':')) {
      *why = "ends in a colon";
      return std::nullopt;
    }
    IntegerParameters p{.bits = static_cast<int>(*bits)};
    std::string_view field = take_field(rest);
    const auto group = field.size() > 1 && field[0] == 'g' && field[1] != '0'
                           ? parse_number(field.substr(1), 1, kLargestGroup)
                           : std::nullopt;
    if (field == "tensor") p.granularity = Granularity::kTensor;
    if (group) {
      p.granularity = Granularity::kGroup;
      p.group = *group;
    }
    if (field == "tensor" || field == "channel" || group) field = take_field(rest);
    if (field == "sym7") {
      p.symmetry = Symmetry::kSymNoClip;
    } else if (field == "asym") {
      p.symmetry = Symmetry::kAsymmetric;
    } else if (field != "sym" && !field.empty()) {
      *why = fmt::format("cannot read \"{}\"", field);
    }
    if (why->empty() && !rest.empty()) *why = fmt::format("does not expect \"{}\"", rest);
    if (!why->empty()) return std::nullopt;
    return as_parameters(p);
  }

  std::string name(const Parameters& parameters) const override {
    const IntegerParameters p = from_parameters(parameters);
    const std::string granularity = p.granularity == Granularity::kTensor    ? "tensor"
                                    : p.granularity == Granularity::kChannel ? "channel"
                                                                             : fmt::format("g{}", p.group);
    return fmt::format("int{}:{}:{}", p.bits, granularity, symmetry_name(p.symmetry));
  }

  std::string spelling() const override {
    return "int2 .. int8 with [:tensor|:channel|:gN][:sym|:sym7|:asym], such as int4:g128:sym";
  }

  FormatFacts facts(const Parameters& p) const override {
    return {.compressed_tensors = true,
            .rows_independent = from_parameters(p).granularity != Granularity::kTensor,
            .rows_in_sequence = false};
  }

  std::string fallback(const Parameters& parameters) const override {
    const IntegerParameters p = from_parameters(parameters);
    return fmt::format("int{}:channel:{}", p.bits, symmetry_name(p.symmetry));
  }

  std::optional<std::string> why_not(const Parameters& p, int64_t, int64_t cols) const override {
    return needs_columns_divisible_by(from_parameters(p).group_size(cols), cols, name(p));
  }

  std::vector<StoredPart> parts(const Parameters& parameters, int64_t rows, int64_t cols) const override {
    const IntegerParameters p = from_parameters(parameters);
    const Layout at = layout_of(p, rows, cols);
    std::vector<StoredPart> parts = {{.name = "weight_packed",
                                      .type = "I32",
                                      .shape = {rows, static_cast<int64_t>(at.row_bytes / 4)},
                                      .bytes = at.scales},
                                     {.name = "weight_scale",
                                      .type = "BF16",
                                      .shape = {at.scale_rows, at.groups},
                                      .bytes = at.zero_points - at.scales}};
    if (p.symmetry == Symmetry::kAsymmetric)
      parts.push_back({.name = "weight_zero_point",
                       .type = "I32",
                       .shape = {static_cast<int64_t>(packed_bytes(p.bits, at.scale_rows) / 4), at.groups},
                       .bytes = at.end - at.zero_points});
    return parts;
  }

  std::unique_ptr<Grid> grid(const Parameters& p, int64_t rows, int64_t cols) const override {
    return std::make_unique<IntegerWeight>(from_parameters(p), rows, cols);
  }

 private:
  static std::string_view symmetry_name(Symmetry symmetry) {
    return symmetry == Symmetry::kSym ? "sym" : symmetry == Symmetry::kSymNoClip ? "sym7" : "asym";
  }
};

}  // namespace

const NumberFormat& integer_format() {
  static const IntegerFormat row;
  return row;
}

std::optional<IntegerParameters> integer_parameters(const Scheme& scheme) {
  if (&scheme.format() != &integer_format()) return std::nullopt;
  return from_parameters(scheme.parameters());
}

}  // namespace vernier
