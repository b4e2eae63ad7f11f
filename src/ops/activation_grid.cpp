#include "vernier/activation_grid.h"

#include <array>

#include "base/fail.h"

namespace vernier {

namespace {

using Span = ActivationGrid::Span;
using Range = ActivationGrid::Range;

constexpr int kFewestGridBits = 2, kMostGridBits = 8;

/// What a grid may be; the first row with a span is what stands for it alone.
struct GridRow {
  Span span;
  Range range;
  std::string_view words;
};
constexpr std::array kGridRows{GridRow{Span::kToken, Range::kDynamic, "token"},
                               GridRow{Span::kTensor, Range::kLargest, "tensor:max"},
                               GridRow{Span::kTensor, Range::kPercentile, "tensor:percentile"},
                               GridRow{Span::kTensor, Range::kMse, "tensor:mse"},
                               GridRow{Span::kTensor, Range::kEntropy, "tensor:entropy"},
                               GridRow{Span::kTensor, Range::kDynamic, "tensor:dynamic"},
                               GridRow{Span::kChannel, Range::kLargest, "channel:max"},
                               GridRow{Span::kChannel, Range::kDynamic, "channel:dynamic"}};

std::string grid_name(int bits, std::string_view words) { return fmt::format("int{}:{}", bits, words); }

struct CacheRow {
  CacheFormat format;
  std::string_view name;
};
constexpr std::array kCacheRows{
    CacheRow{{CacheFormat::Kind::kExact}, "exact"}, CacheRow{{CacheFormat::Kind::kQ8_0}, "q8_0"},
    CacheRow{{CacheFormat::Kind::kQ4_0}, "q4_0"}, CacheRow{{CacheFormat::Kind::kE4M3}, "fp8"}};

}  // namespace

ActivationGrid ActivationGrid::parse(std::string_view text) {
  for (int bits = kFewestGridBits; bits <= kMostGridBits; ++bits)
    for (const GridRow& row : kGridRows) {
      const std::string name = grid_name(bits, row.words);
      const bool alone = row.range == Range::kLargest && text == name.substr(0, name.rfind(':'));
      if (text == name || alone) return {bits, row.span, row.range};
    }
  std::string known;
  for (const GridRow& row : kGridRows) known += fmt::format("{}{}", known.empty() ? "" : ", ", row.words);
  fail(ErrorKind::kInvalidArgument,
       "activation grid \"{}\": expected int2 to int8, a colon, and one of {}, such as int8:token", text, known);
}

std::string ActivationGrid::name() const {
  for (const GridRow& row : kGridRows)
    if (row.span == span && row.range == range) return grid_name(bits, row.words);
  fail(ErrorKind::kInternal, "an activation grid without a row");
}

CacheFormat CacheFormat::parse(std::string_view text) {
  for (const CacheRow& row : kCacheRows)
    if (row.name == text) return row.format;
  for (int bits = kFewestGridBits; bits <= kMostGridBits; ++bits)
    if (const CacheFormat format{Kind::kInteger, bits}; format.name() == text) return format;
  fail(ErrorKind::kInvalidArgument, "cache format \"{}\": expected exact, q8_0, q4_0, fp8, or int2 to int8", text);
}

std::string CacheFormat::name() const {
  for (const CacheRow& row : kCacheRows)
    if (row.format.kind == kind) return std::string(row.name);
  return fmt::format("int{}", bits);
}

}  // namespace vernier
