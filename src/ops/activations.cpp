#include <array>

#include "base/fail.h"
#include "vernier/compute.h"

namespace vernier {

namespace {

struct RangeRow {
  std::string_view word;
  Activations::Kind kind;
};
constexpr std::array kRanges{RangeRow{"token", Activations::Kind::kPerToken},
                             RangeRow{"tensor", Activations::Kind::kPerTensor}};
constexpr int kFewestBits = 2, kMostBits = 8;

}  // namespace

Activations Activations::parse(std::string_view text) {
  for (const Activations& known : {kExact, kLlamaCpp})
    if (text == known.name()) return known;
  for (const RangeRow& range : kRanges)
    for (int bits = kFewestBits; bits <= kMostBits; ++bits) {
      const Activations rounded(range.kind, bits);
      if (const std::string name = rounded.name(); text == name || fmt::format("{}:sym7", text) == name) return rounded;
    }
  fail(ErrorKind::kInvalidArgument,
       "activations: expected exact or llama.cpp, or int2 to int8 followed by :token or :tensor, such as int8:token, "
       "got "
       "{}",
       text);
}

std::string Activations::name() const {
  for (const RangeRow& range : kRanges)
    if (range.kind == kind_) return fmt::format("int{}:{}:sym7", bits_, range.word);
  return kind_ == Kind::kExact ? "exact" : "llama.cpp";
}

}  // namespace vernier
