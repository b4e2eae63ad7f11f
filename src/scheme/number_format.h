#pragma once

// The table of number formats. A row is one object that says all that is particular to a format; schemes, plans,
// exporters and searches derive what they need from it, and nothing else asks which format it is.
//
// To add one: a file that defines the row, and its two lines in number_formats.cpp. A format of ggml's blocks is a
// GgufFormat (gguf_format.h); its codebook may be of single weights (gguf:iq4_nl) or of several (codebook_block.h). One
// where all weights share a number has one block, the whole weight (nvfp4).

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scheme/grid.h"
#include "vernier/scheme.h"

namespace vernier {

/// Answers that Scheme passes on; see there.
struct FormatFacts {
  std::optional<GgufNumbers> gguf{};
  bool writable = true;
  bool compressed_tensors = false, plain_tensors = false;
  bool rows_independent = true, rows_in_sequence = true;
  ActivationRounding llama_cpp_rounding = ActivationRounding::kNone;
};

class NumberFormat {
 public:
  using Parameters = SchemeParameters;
  virtual ~NumberFormat() = default;

  /// Of lower-case text. Nothing if it is not in this format's grammar; `why` is then set if it only nearly is.
  virtual std::optional<Parameters> parse(std::string_view text, std::string* why) const = 0;
  /// The canonical spelling.
  virtual std::string name(const Parameters& p) const = 0;
  /// For lists of what exists: a name, or a grammar with an example.
  virtual std::string spelling() const = 0;

  virtual FormatFacts facts(const Parameters& p) const = 0;
  /// What to use where the shape does not fit: llama.cpp's own fallback, one scale per row for integers, else f16.
  virtual std::string fallback(const Parameters&) const { return "f16"; }

  /// @shape rows, cols >= 1 and so few that no product overflows
  virtual std::optional<std::string> why_not(const Parameters& p, int64_t rows, int64_t cols) const = 0;
  /// The functions below may take it that why_not has nothing to say.
  virtual std::vector<StoredPart> parts(const Parameters& p, int64_t rows, int64_t cols) const = 0;
  virtual std::unique_ptr<Grid> grid(const Parameters& p, int64_t rows, int64_t cols) const = 0;
};

/// All rows; those of GGUF by falling size, f32 first.
std::span<const NumberFormat* const> number_formats();

/// The reason of formats whose rows are a whole number of blocks or groups.
std::optional<std::string> needs_columns_divisible_by(int64_t unit, int64_t cols, std::string_view name);

}  // namespace vernier
