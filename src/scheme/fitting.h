#pragma once

// What to use where a scheme's block does not divide a row: llama.cpp's own fallback by type, or one scale per row for
// integer grids.

#include "vernier/scheme.h"

namespace vernier {

/// `scheme` itself when the shape can take it. Otherwise its row's fallback (q2_k, q3_k -> q4_0; q4_k -> q5_0; q5_k ->
/// q5_1; q6_k -> q8_0; intN with groups -> intN:channel), and f16 when that does not fit either.
Scheme fitting_scheme(const Scheme& scheme, int64_t rows, int64_t cols);

}  // namespace vernier
