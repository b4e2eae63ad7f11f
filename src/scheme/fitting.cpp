#include "scheme/fitting.h"

#include "scheme/number_format.h"

namespace vernier {

Scheme fitting_scheme(const Scheme& scheme, int64_t rows, int64_t cols) {
  if (!scheme.why_not(rows, cols)) return scheme;
  const Scheme fallback = Scheme::parse(scheme.format().fallback(scheme.parameters()));
  return fallback.why_not(rows, cols) ? Scheme::parse("f16") : fallback;
}

}  // namespace vernier
