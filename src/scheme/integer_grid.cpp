#include "scheme/integer_grid.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "scheme/block_format.h"
#include "scheme/half_float.h"
#include "scheme/packing.h"

namespace vernier {

namespace {

struct Range {
  float min = 0.0f, max = 0.0f;  // zero is always inside
};

Range range_of(std::span<const float> values) {
  Range range;
  for (const float x : values) {
    range.min = x < range.min ? x : range.min;
    range.max = x > range.max ? x : range.max;
  }
  return range;
}

/// Where the parts of a stored weight begin, and its shape in groups.
struct Layout {
  int64_t scale_rows, groups, group;
  size_t row_bytes, scales, zero_points;
};

Layout layout_of(const Scheme& scheme, int64_t rows, int64_t cols) {
  const StoredParts parts = scheme.parts(rows, cols);
  const int64_t group = scheme.group_size(cols);
  return {.scale_rows = scheme.granularity() == Granularity::kTensor ? 1 : rows,
          .groups = cols / group,
          .group = group,
          .row_bytes = static_cast<size_t>(packed_bytes(scheme.bits(), cols)),
          .scales = static_cast<size_t>(parts.codes),
          .zero_points = static_cast<size_t>(parts.codes + parts.scales)};
}

}  // namespace

IntegerGrid fit_integer_grid(int bits, Symmetry symmetry, float min, float max) {
  IntegerGrid grid;
  const int half = 1 << (bits - 1);
  grid.highest = 2 * half - 1;
  grid.zero_point = half;
  grid.lowest = symmetry == Symmetry::kSymNoClip ? 1 : 0;
  // In double, so that max - min cannot overflow.
  double scale = 0.0;
  const double absmax = std::max(-static_cast<double>(min), static_cast<double>(max));
  switch (symmetry) {
    case Symmetry::kSym: scale = absmax / ((2 * half - 1) / 2.0); break;
    case Symmetry::kSymNoClip: scale = absmax / (half - 1); break;
    case Symmetry::kAsymmetric: scale = (static_cast<double>(max) - static_cast<double>(min)) / (2 * half - 1); break;
  }
  grid.scale = float_to_bf16(static_cast<float>(scale));
  if (grid.scale == 0) {
    grid.scale = float_to_bf16(1.0f);
    return grid;
  }
  // Near the largest float, scale * code must not overflow; the cap is cut off, not rounded, to bf16.
  const int reach = symmetry == Symmetry::kAsymmetric ? grid.highest : half;
  const float cap = std::numeric_limits<float>::max() / static_cast<float>(reach);
  grid.scale = std::min(grid.scale, static_cast<uint16_t>(std::bit_cast<uint32_t>(cap) >> 16));
  if (symmetry == Symmetry::kAsymmetric) {
    const float steps = std::clamp(-min / bf16_to_float(grid.scale), 0.0f, static_cast<float>(grid.highest));
    grid.zero_point = static_cast<int>(std::nearbyint(steps));
  }
  return grid;
}

void choose_codes(const IntegerGrid& grid, std::span<const float> values, std::span<uint8_t> codes) {
  const float scale = bf16_to_float(grid.scale);
  // Ties go to the even *signed* code, as in compressed-tensors, so the offset is added after rounding.
  const int offset = (grid.highest + 1) / 2;
  const float zero_point = static_cast<float>(grid.zero_point - offset);
  const float lowest = static_cast<float>(grid.lowest - offset);
  const float highest = static_cast<float>(grid.highest - offset);
  for (size_t i = 0; i < values.size(); ++i) {
    float t = values[i] / scale + zero_point;
    t = t < lowest ? lowest : t;
    t = t > highest ? highest : t;
    codes[i] = static_cast<uint8_t>(static_cast<int>(round_even(t)) + offset);
  }
}

void decode_codes(const IntegerGrid& grid, std::span<const uint8_t> codes, std::span<float> values) {
  const float scale = bf16_to_float(grid.scale);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(static_cast<int>(codes[i]) - grid.zero_point) * scale;
  }
}

void encode_integers(const Scheme& scheme, std::span<const float> weight, int64_t rows, int64_t cols,
                     std::span<std::byte> out) {
  const Layout at = layout_of(scheme, rows, cols);
  const auto group = static_cast<size_t>(at.group), groups = static_cast<size_t>(at.groups);
  std::fill(out.begin(), out.end(), std::byte{0});

  const bool whole = scheme.granularity() == Granularity::kTensor;
  const Range all = whole ? range_of(weight) : Range{};
  std::vector<uint8_t> codes(static_cast<size_t>(cols));
  std::vector<uint8_t> zero_points(static_cast<size_t>(at.scale_rows) * groups);
  for (size_t r = 0; r < static_cast<size_t>(rows); ++r) {
    const auto row = weight.subspan(r * static_cast<size_t>(cols), static_cast<size_t>(cols));
    for (size_t g = 0; g < groups; ++g) {
      const auto values = row.subspan(g * group, group);
      const Range range = whole ? all : range_of(values);
      const IntegerGrid grid = fit_integer_grid(scheme.bits(), scheme.symmetry(), range.min, range.max);
      choose_codes(grid, values, std::span(codes).subspan(g * group, group));
      const size_t slot = whole ? 0 : g * static_cast<size_t>(rows) + r;
      const size_t scale_slot = whole ? 0 : r * groups + g;
      store_u16(grid.scale, out.data() + at.scales + 2 * scale_slot);
      zero_points[slot] = static_cast<uint8_t>(grid.zero_point);
    }
    pack_codes(codes, scheme.bits(), out.data() + r * at.row_bytes);
  }
  if (scheme.symmetry() != Symmetry::kAsymmetric) return;
  for (size_t g = 0; g < groups; ++g) {
    const auto column =
        std::span(zero_points).subspan(g * static_cast<size_t>(at.scale_rows), static_cast<size_t>(at.scale_rows));
    pack_codes(column, scheme.bits(), out.data() + at.zero_points + 4 * g, 4 * groups);
  }
}

void decode_integers(const Scheme& scheme, std::span<const std::byte> stored, int64_t rows, int64_t cols,
                     std::span<float> weight) {
  const Layout at = layout_of(scheme, rows, cols);
  const auto group = static_cast<size_t>(at.group), groups = static_cast<size_t>(at.groups);
  const auto scale_rows = static_cast<size_t>(at.scale_rows);
  std::vector<uint8_t> zero_points(scale_rows * groups, static_cast<uint8_t>(1 << (scheme.bits() - 1)));
  if (scheme.symmetry() == Symmetry::kAsymmetric) {
    for (size_t g = 0; g < groups; ++g) {
      unpack_codes(stored.data() + at.zero_points + 4 * g, scheme.bits(),
                   std::span(zero_points).subspan(g * scale_rows, scale_rows), 4 * groups);
    }
  }
  std::vector<uint8_t> codes(static_cast<size_t>(cols));
  for (size_t r = 0; r < static_cast<size_t>(rows); ++r) {
    unpack_codes(stored.data() + r * at.row_bytes, scheme.bits(), codes);
    const size_t scale_row = scale_rows == 1 ? 0 : r;
    for (size_t g = 0; g < groups; ++g) {
      IntegerGrid grid;
      grid.scale = load_u16(stored.data() + at.scales + 2 * (scale_row * groups + g));
      grid.zero_point = zero_points[g * scale_rows + scale_row];
      decode_codes(grid, std::span<const uint8_t>(codes).subspan(g * group, group),
                   weight.subspan(r * static_cast<size_t>(cols) + g * group, group));
    }
  }
}

}  // namespace vernier
