#pragma once

// Number formats: what a weight matrix becomes when it is stored, and exactly how many bytes that takes.
//
//   const Scheme scheme = Scheme::parse("int4:g128:sym");
//   if (auto reason = scheme.why_not(rows, cols)) return *reason;            // a value, not an error
//   std::vector<std::byte> stored(scheme.bytes(rows, cols));
//   encode(scheme, weight, rows, cols, importance, stored);                   // importance may be empty
//
// Weights are [rows, cols] = [out, in], row-major. A format's bytes are those of the file it goes to: llama.cpp's
// blocks, or compressed-tensors' pack-quantized tensors one after the other (see StoredParts).

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vernier {

/// How many weights share one scale of an integer grid.
enum class Granularity : uint8_t { kTensor, kChannel, kGroup };

enum class Symmetry : uint8_t {
  kSym,         ///< scale = absmax / ((2^b - 1) / 2), codes -2^(b-1) .. 2^(b-1) - 1 (compressed-tensors)
  kSymNoClip,   ///< spelled sym7: scale = absmax / (2^(b-1) - 1), codes as many below as above zero
  kAsymmetric,  ///< scale = (max - min) / (2^b - 1) with min <= 0 <= max, and an integer zero point of b bits
};

/// Byte counts of the three tensors of an integer scheme, in the order in which they are stored.
/// @shape codes: per row ceil(cols * b / 32) little-endian int32 words; scales: bf16 [rows, groups];
///        zero points (asymmetric only): int32 words [ceil(rows * b / 32), groups], packed along the rows
struct StoredParts {
  uint64_t codes = 0, scales = 0, zero_points = 0;
};

class Scheme {
 public:
  /// "int2" .. "int8", then optionally ":tensor", ":channel" (default) or ":g128", then optionally ":sym" (default),
  /// ":sym7" or ":asym"; "gguf:q4_k" and the like; "f32", "f16", "bf16" (also with "gguf:"). Upper case is accepted.
  /// @throws Error{kInvalidArgument} that lists what exists
  static Scheme parse(std::string_view text);
  /// The canonical spelling, e.g. "int8:channel:sym"; parse(name()) == *this.
  std::string name() const;

  /// Why a [rows, cols] weight cannot take this scheme; nothing if it can.
  std::optional<std::string> why_not(int64_t rows, int64_t cols) const;
  /// Exact stored bytes, and per weight in bits. @throws Error{kInvalidArgument} if why_not says so
  uint64_t bytes(int64_t rows, int64_t cols) const;
  double bits_per_weight(int64_t rows, int64_t cols) const;

  /// True for what a GGUF file can hold: its blocks, f32, f16 and bf16.
  bool is_gguf() const { return !is_integer(); }
  /// ggml's number for the type, -1 for the integer grids.
  int ggml_type() const;
  /// False only for grids with one scale per tensor. Otherwise row ranges may be encoded on their own: bytes of GGUF
  /// schemes then simply follow each other, those of integer schemes part by part if ranges start at multiples of 32.
  bool rows_independent() const { return !is_integer() || granularity_ != Granularity::kTensor; }

  /// The following four describe integer grids; is_integer() must hold.
  bool is_integer() const { return format_ == kInteger; }
  int bits() const { return bits_; }
  Granularity granularity() const { return granularity_; }
  Symmetry symmetry() const { return symmetry_; }
  /// Weights per scale along a row; `cols` unless the granularity is kGroup.
  int64_t group_size(int64_t cols) const { return granularity_ == Granularity::kGroup ? group_ : cols; }
  /// @throws Error{kInvalidArgument} unless is_integer() and why_not is empty
  StoredParts parts(int64_t rows, int64_t cols) const;

  bool operator==(const Scheme&) const = default;

 private:
  static constexpr int kInteger = -1;
  int format_ = 0;  ///< row of the table of GGUF formats (block_format.h), or kInteger
  int bits_ = 0;
  Granularity granularity_ = Granularity::kChannel;
  Symmetry symmetry_ = Symmetry::kSym;
  int64_t group_ = 0;

  friend void encode(const Scheme&, std::span<const float>, int64_t, int64_t, std::span<const float>,
                     std::span<std::byte>);
  friend void decode(const Scheme&, std::span<const std::byte>, int64_t, int64_t, std::span<float>);
};

/// Stores a weight. GGUF blocks minimise sum(importance * error^2), or the plain squared error without importance, by a
/// search over scales. llama.cpp's further factor sqrt(sigma^2 + x^2) is left out: on one 26M Llama (24 windows) it
/// raised KL by 5% at q4_k and made no clear difference at q4_0 and q6_k. Integer grids round to nearest as
/// compressed-tensors defines them and ignore `importance`. Finite values beyond a format's range saturate.
/// @shape weight [rows, cols]; importance empty or [cols], finite, >= 0: mean square of the input channel that
///        multiplies the column (only ratios within a row matter); out: scheme.bytes(rows, cols)
/// @throws Error{kInvalidArgument} on shapes that do not fit and on NaN or Inf, naming row and column
void encode(const Scheme& scheme, std::span<const float> weight, int64_t rows, int64_t cols,
            std::span<const float> importance, std::span<std::byte> out);
/// The values an engine computes with; for GGUF blocks the same bits as ggml's.
/// @throws Error{kInvalidArgument} on shapes that do not fit. Any bytes decode; random ones may give NaN.
void decode(const Scheme& scheme, std::span<const std::byte> stored, int64_t rows, int64_t cols,
            std::span<float> weight);
/// decode(encode(weight)) in one call; `out` may be `weight`'s own memory.
void round_trip(const Scheme& scheme, std::span<const float> weight, int64_t rows, int64_t cols,
                std::span<const float> importance, std::span<float> out);

/// Names of all schemes a GGUF file can hold, by falling size.
std::vector<std::string> gguf_scheme_names();

}  // namespace vernier
