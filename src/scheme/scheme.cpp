#include "vernier/scheme.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/fail.h"
#include "scheme/block_format.h"
#include "scheme/integer_grid.h"
#include "scheme/packing.h"
#include "scheme/scale_search.h"

namespace vernier {

namespace {

constexpr int kLargestBlock = 256;
constexpr int64_t kMostColumns = int64_t{1} << 40, kMostWeights = int64_t{1} << 55;
constexpr int64_t kLargestGroup = int64_t{1} << 30;
constexpr std::string_view kGguf = "gguf:";

std::string what_exists() {
  std::string names;
  for (const BlockFormat& format : block_formats()) names += fmt::format("{}, ", format.name);
  return names + "int2 .. int8 with [:tensor|:channel|:gN][:sym|:sym7|:asym], such as int4:g128:sym";
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

void check_shape(const Scheme& scheme, int64_t rows, int64_t cols, size_t weights, size_t stored) {
  const uint64_t bytes = scheme.bytes(rows, cols);  // refuses what the scheme cannot take
  if (weights != static_cast<uint64_t>(rows) * static_cast<uint64_t>(cols)) {
    fail(ErrorKind::kInvalidArgument, "scheme: {}: expected {} x {} weights, got {}", scheme.name(), rows, cols,
         weights);
  }
  if (stored != bytes) {
    fail(ErrorKind::kInvalidArgument, "scheme: {}: a [{}, {}] weight takes {} bytes, got room for {}", scheme.name(),
         rows, cols, bytes, stored);
  }
}

void check_finite(std::span<const float> weight, int64_t cols) {
  constexpr float kMax = std::numeric_limits<float>::max();
  unsigned bad = 0;
  for (const float x : weight) bad |= static_cast<unsigned>(!(std::fabs(x) <= kMax));
  if (bad == 0) return;
  const auto at =
      std::find_if(weight.begin(), weight.end(), [](float x) { return !std::isfinite(x); }) - weight.begin();
  fail(ErrorKind::kInvalidArgument, "scheme: weight at row {}, column {} is {}; a number format needs finite weights",
       at / cols, at % cols, weight[static_cast<size_t>(at)]);
}

void check_importance(std::span<const float> importance, int64_t cols) {
  if (importance.empty()) return;
  if (importance.size() != static_cast<size_t>(cols)) {
    fail(ErrorKind::kInvalidArgument, "scheme: expected {} importances (one per column) or none, got {}", cols,
         importance.size());
  }
  for (size_t c = 0; c < importance.size(); ++c) {
    if (std::isfinite(importance[c]) && importance[c] >= 0.0f) continue;
    fail(ErrorKind::kInvalidArgument, "scheme: importance of column {} is {}; expected a mean square, finite and >= 0",
         c, importance[c]);
  }
}

/// Importances as every search wants them: at most 1 and positive. Channels that calibration never saw active keep a
/// ten-thousandth of the mean, so that their weights are still rounded to the nearest value.
std::vector<float> column_weights(std::span<const float> importance, int64_t cols) {
  std::vector<float> weights(static_cast<size_t>(cols), 1.0f);
  double sum = 0.0;
  float max = 0.0f;
  for (const float value : importance) {
    sum += value;
    max = std::max(max, value);
  }
  if (max == 0.0f) return weights;
  const double floor = 1e-4 * sum / static_cast<double>(cols);
  for (size_t c = 0; c < importance.size(); ++c) {
    weights[c] = static_cast<float>((static_cast<double>(importance[c]) + floor) / (max + floor));
  }
  return weights;
}

/// What can never reach half of the smallest step becomes zero, and what no block can hold its largest value, so that
/// squares and quotients in the search stay finite.
void prepare_block(const float* x, int n, float* out) {
  constexpr float kNegligible = 1e-12f;
  for (int i = 0; i < n; ++i) {
    const float magnitude = std::fabs(x[i]);
    const float clipped = std::copysign(std::min(magnitude, kLargestWeight), x[i]);
    out[i] = magnitude < kNegligible ? 0.0f : clipped;
  }
}

void encode_blocks(const BlockFormat& format, std::span<const float> weight, int64_t cols,
                   std::span<const float> importance, std::byte* out) {
  const std::vector<float> w = column_weights(importance, cols);
  const auto step = static_cast<size_t>(format.elements), row = static_cast<size_t>(cols);
  std::array<float, kLargestBlock> x;
  for (size_t at = 0; at < weight.size(); at += step, out += format.bytes) {
    const float* block = weight.data() + at;
    if (format.elements > 1) {
      prepare_block(block, format.elements, x.data());
      block = x.data();
    }
    format.encode(block, w.data() + at % row, out);
  }
}

}  // namespace

Scheme Scheme::parse(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  const auto refuse = [&](std::string_view why) {
    fail(ErrorKind::kInvalidArgument, "scheme: \"{}\": {}; schemes are {}", text.substr(0, 80), why, what_exists());
  };

  Scheme scheme;
  const auto formats = block_formats();
  for (size_t i = 0; i < formats.size(); ++i) {
    const std::string_view name = formats[i].name;
    if (lower == name || (name.find(':') == std::string_view::npos && lower == std::string(kGguf).append(name))) {
      scheme.format_ = static_cast<int>(i);
      return scheme;
    }
  }
  // llama.cpp's own spelling of its types lacks the prefix.
  for (const BlockFormat& format : formats)
    if (const std::string_view name = format.name; name == std::string(kGguf).append(lower))
      refuse(fmt::format("no such number format; did you mean {}?", name));
  std::string_view rest = lower;
  const std::string_view type = take_field(rest);
  const auto bits = type.starts_with("int") ? parse_number(type.substr(3), 2, 8) : std::nullopt;
  if (!bits || type.size() != 4) refuse("no such number format");
  if (lower.ends_with(':')) refuse("ends in a colon");

  scheme.format_ = kInteger;
  scheme.bits_ = static_cast<int>(*bits);
  std::string_view field = take_field(rest);
  if (field == "tensor") {
    scheme.granularity_ = Granularity::kTensor;
  } else if (field.size() > 1 && field[0] == 'g' && field[1] != '0' &&
             parse_number(field.substr(1), 1, kLargestGroup)) {
    scheme.granularity_ = Granularity::kGroup;
    scheme.group_ = *parse_number(field.substr(1), 1, kLargestGroup);
  }
  if (field == "tensor" || field == "channel" || scheme.group_ > 0) field = take_field(rest);
  if (field == "sym7") {
    scheme.symmetry_ = Symmetry::kSymNoClip;
  } else if (field == "asym") {
    scheme.symmetry_ = Symmetry::kAsymmetric;
  } else if (field != "sym" && !field.empty()) {
    refuse(fmt::format("cannot read \"{}\"", field));
  }
  if (!rest.empty()) refuse(fmt::format("does not expect \"{}\"", rest));
  return scheme;
}

std::string Scheme::name() const {
  if (!is_integer()) return block_formats()[static_cast<size_t>(format_)].name;
  std::string name = fmt::format("int{}:", bits_);
  switch (granularity_) {
    case Granularity::kTensor: name += "tensor"; break;
    case Granularity::kChannel: name += "channel"; break;
    case Granularity::kGroup: name += fmt::format("g{}", group_); break;
  }
  switch (symmetry_) {
    case Symmetry::kSym: return name + ":sym";
    case Symmetry::kSymNoClip: return name + ":sym7";
    case Symmetry::kAsymmetric: return name + ":asym";
  }
  return name;
}

std::optional<std::string> Scheme::why_not(int64_t rows, int64_t cols) const {
  if (rows < 1 || cols < 1) return fmt::format("[{}, {}] holds no weights", rows, cols);
  if (cols > kMostColumns || rows > kMostWeights / cols) return fmt::format("[{}, {}] is too large", rows, cols);
  const int64_t unit = is_integer() ? group_size(cols) : block_formats()[static_cast<size_t>(format_)].elements;
  if (cols % unit != 0) return fmt::format("{} needs columns divisible by {}, got {}", name(), unit, cols);
  return std::nullopt;
}

StoredParts Scheme::parts(int64_t rows, int64_t cols) const {
  if (!is_integer()) fail(ErrorKind::kInvalidArgument, "scheme: {} is stored in one piece, not in parts", name());
  if (const auto reason = why_not(rows, cols)) fail(ErrorKind::kInvalidArgument, "scheme: {}", *reason);
  const int64_t scale_rows = granularity_ == Granularity::kTensor ? 1 : rows;
  const auto groups = static_cast<uint64_t>(cols / group_size(cols));
  StoredParts parts;
  parts.codes = static_cast<uint64_t>(rows) * packed_bytes(bits_, cols);
  parts.scales = static_cast<uint64_t>(scale_rows) * groups * sizeof(uint16_t);
  if (symmetry_ == Symmetry::kAsymmetric) parts.zero_points = packed_bytes(bits_, scale_rows) * groups;
  return parts;
}

uint64_t Scheme::bytes(int64_t rows, int64_t cols) const {
  if (is_integer()) {
    const StoredParts each = parts(rows, cols);
    return each.codes + each.scales + each.zero_points;
  }
  if (const auto reason = why_not(rows, cols)) fail(ErrorKind::kInvalidArgument, "scheme: {}", *reason);
  const BlockFormat& format = block_formats()[static_cast<size_t>(format_)];
  return static_cast<uint64_t>(rows) * static_cast<uint64_t>(cols / format.elements) *
         static_cast<uint64_t>(format.bytes);
}

double Scheme::bits_per_weight(int64_t rows, int64_t cols) const {
  return 8.0 * static_cast<double>(bytes(rows, cols)) / (static_cast<double>(rows) * static_cast<double>(cols));
}

int Scheme::ggml_type() const { return is_integer() ? -1 : block_formats()[static_cast<size_t>(format_)].ggml_type; }

void encode(const Scheme& scheme, std::span<const float> weight, int64_t rows, int64_t cols,
            std::span<const float> importance, std::span<std::byte> out) {
  check_shape(scheme, rows, cols, weight.size(), out.size());
  check_importance(importance, cols);
  check_finite(weight, cols);
  if (scheme.is_integer()) return encode_integers(scheme, weight, rows, cols, out);
  encode_blocks(block_formats()[static_cast<size_t>(scheme.format_)], weight, cols, importance, out.data());
}

void decode(const Scheme& scheme, std::span<const std::byte> stored, int64_t rows, int64_t cols,
            std::span<float> weight) {
  check_shape(scheme, rows, cols, weight.size(), stored.size());
  if (scheme.is_integer()) return decode_integers(scheme, stored, rows, cols, weight);
  const BlockFormat& format = block_formats()[static_cast<size_t>(scheme.format_)];
  const std::byte* in = stored.data();
  for (size_t at = 0; at < weight.size(); at += static_cast<size_t>(format.elements), in += format.bytes) {
    format.decode(in, weight.data() + at);
  }
}

void round_trip(const Scheme& scheme, std::span<const float> weight, int64_t rows, int64_t cols,
                std::span<const float> importance, std::span<float> out) {
  std::vector<std::byte> stored(scheme.bytes(rows, cols));
  encode(scheme, weight, rows, cols, importance, stored);
  decode(scheme, stored, rows, cols, out);
}

std::vector<std::string> gguf_scheme_names() {
  std::vector<std::string> names;
  for (const BlockFormat& format : block_formats()) names.emplace_back(format.name);
  return names;
}

}  // namespace vernier
