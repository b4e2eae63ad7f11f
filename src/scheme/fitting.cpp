#include "scheme/fitting.h"

#include <map>

#include "base/fail.h"

namespace vernier {

Scheme fitting_scheme(const Scheme& scheme, int64_t rows, int64_t cols) {
  static const std::map<std::string, std::string> kFallback = {{"gguf:q2_k", "gguf:q4_0"},
                                                               {"gguf:q3_k", "gguf:q4_0"},
                                                               {"gguf:q4_k", "gguf:q5_0"},
                                                               {"gguf:q5_k", "gguf:q5_1"},
                                                               {"gguf:q6_k", "gguf:q8_0"}};
  if (!scheme.why_not(rows, cols)) return scheme;
  std::string next = "f16";
  if (scheme.is_integer()) {
    const char* symmetry = scheme.symmetry() == Symmetry::kAsymmetric ? "asym"
                           : scheme.symmetry() == Symmetry::kSym      ? "sym"
                                                                      : "sym7";
    next = fmt::format("int{}:channel:{}", scheme.bits(), symmetry);
  } else if (const auto it = kFallback.find(scheme.name()); it != kFallback.end()) {
    next = it->second;
  }
  const Scheme fallback = Scheme::parse(next);
  return fallback.why_not(rows, cols) ? Scheme::parse("f16") : fallback;
}

}  // namespace vernier
