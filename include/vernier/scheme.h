#pragma once

// Number formats: what a weight matrix becomes when it is stored, and exactly how many bytes that takes.
//
//   const Scheme scheme = Scheme::parse("int4:g128:sym");
//   if (auto reason = scheme.why_not(rows, cols)) return *reason;            // a value, not an error
//   std::vector<std::byte> stored(scheme.bytes(rows, cols));
//   encode(scheme, weight, rows, cols, importance, stored);                   // importance may be empty
//
// Weights are [rows, cols] = [out, in], row-major. A format's bytes are those of the file it goes to: llama.cpp's
// blocks, or compressed-tensors' pack-quantized tensors one after the other (see StoredPart).
//
// A Scheme is a row of the table of number formats (src/scheme/number_format.h) and that row's parameters. Nothing
// outside of the row asks which format it is; what depends on that is a question to the scheme.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vernier {

class NumberFormat;

/// What a row's grammar makes of the text behind its name, such as bits and group size; only the row reads them.
using SchemeParameters = std::array<int64_t, 4>;

/// Kinds of files that weights go to.
enum class Container : uint8_t {
  kGguf,               ///< llama.cpp's
  kCompressedTensors,  ///< safetensors with pack-quantized codes, scales and zero points as tensors of their own
  kPlainTensors,       ///< safetensors of values as they are
};

/// How GGUF files number a scheme: ggml's type of a tensor, and general.file_type of a file that is mostly of it.
struct GgufNumbers {
  uint32_t type = 0, file_type = 0;
};

/// What llama.cpp's CPU kernels round a matrix's inputs to before they multiply (see ops/activation_rounding.h).
enum class ActivationRounding : uint8_t {
  kNone,
  kHalf,      ///< beside f16 matrices
  kBFloat16,  ///< beside bf16 matrices
  kQ8_0,      ///< blocks of 32, scale absmax / 127 in half precision
  kQ8_K,      ///< blocks of 256, float32 scale whose sign makes the largest value -127
};

/// One of the pieces that a stored weight's bytes are, in the order in which they are stored.
struct StoredPart {
  std::string_view name;  ///< compressed-tensors' suffix, such as "weight_packed"; empty where it is the only part
  std::string_view type;  ///< of an element, as safetensors spells it: "I32", "BF16"; "U8" for blocks
  std::array<int64_t, 2> shape;  ///< in elements
  uint64_t bytes = 0;
};

class Scheme {
 public:
  /// f32.
  Scheme();
  /// "int2" .. "int8", then optionally ":tensor", ":channel" (default) or ":g128", then optionally ":sym" (default),
  /// ":sym7" or ":asym"; "fp8:e4m3" with such a suffix, "mxfp4", "nvfp4"; "gguf:q4_k" and the like; "f32", "f16", "bf16"
  /// (also with "gguf:"). Upper case is accepted.
  /// @throws Error{kInvalidArgument} that lists what exists
  static Scheme parse(std::string_view text);
  /// The canonical spelling, e.g. "int8:channel:sym"; parse(name()) == *this.
  std::string name() const;

  /// Why a [rows, cols] weight cannot take this scheme; nothing if it can.
  std::optional<std::string> why_not(int64_t rows, int64_t cols) const;
  /// Exact stored bytes, and per weight in bits. @throws Error{kInvalidArgument} if why_not says so
  uint64_t bytes(int64_t rows, int64_t cols) const;
  double bits_per_weight(int64_t rows, int64_t cols) const;
  /// The same bytes piece by piece. @throws Error{kInvalidArgument} if why_not says so
  std::vector<StoredPart> parts(int64_t rows, int64_t cols) const;

  bool held_by(Container container) const;
  /// Nothing for schemes that a GGUF file cannot hold.
  std::optional<GgufNumbers> gguf() const;
  /// False for formats of other programs' files that are read only: encode refuses them.
  bool writable() const;
  /// kNone for f32 and for schemes that llama.cpp does not load.
  ActivationRounding llama_cpp_rounding() const;

  /// False where rows share a scale. Otherwise row ranges may be encoded on their own, with the same values.
  bool rows_independent() const;
  /// Whether rows are stored one after the other, so that the bytes of row ranges simply follow each other. Otherwise
  /// they do part by part, if ranges start at multiples of 32.
  bool rows_in_sequence() const;

  bool operator==(const Scheme&) const = default;

  const NumberFormat& format() const { return *format_; }
  const SchemeParameters& parameters() const { return parameters_; }
  Scheme(const NumberFormat& format, const SchemeParameters& parameters) : format_(&format), parameters_(parameters) {}

 private:
  const NumberFormat* format_;
  SchemeParameters parameters_{};
};

/// Stores a weight. GGUF blocks minimise sum(importance * error^2), or the plain squared error without importance, by a
/// search over scales. llama.cpp's further factor sqrt(sigma^2 + x^2) is left out: on one 26M Llama (24 windows) it
/// raised KL by 5% at q4_k and made no clear difference at q4_0 and q6_k. Integer grids round to nearest as
/// compressed-tensors defines them and ignore `importance`. Finite values beyond a format's range saturate.
/// @shape weight [rows, cols]; importance empty or [cols], finite, >= 0: mean square of the input channel that
///        multiplies the column (only ratios within a row matter); out: scheme.bytes(rows, cols)
/// @throws Error{kInvalidArgument} on shapes that do not fit and on NaN or Inf, naming row and column; {kUnsupported} for
///         schemes that are not writable
void encode(const Scheme& scheme, std::span<const float> weight, int64_t rows, int64_t cols,
            std::span<const float> importance, std::span<std::byte> out);
/// The values an engine computes with; for GGUF blocks the same bits as ggml's.
/// @throws Error{kInvalidArgument} on shapes that do not fit. Any bytes decode; random ones may give NaN.
void decode(const Scheme& scheme, std::span<const std::byte> stored, int64_t rows, int64_t cols,
            std::span<float> weight);
/// decode(encode(weight)) in one call; `out` may be `weight`'s own memory.
void round_trip(const Scheme& scheme, std::span<const float> weight, int64_t rows, int64_t cols,
                std::span<const float> importance, std::span<float> out);

/// Names of all schemes that a GGUF file is written in, by falling size, and those that one may be read in.
std::vector<std::string> gguf_scheme_names();
std::vector<std::string> readable_gguf_scheme_names();

}  // namespace vernier
