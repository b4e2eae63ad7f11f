#pragma once

// Products in bfloat16 on the tiles of AMX, registers of 16 rows of 64 bytes: one instruction multiplies 16 rows by 16
// columns over 32 contracted values. What that gains: docs/performance.md. Panels of words (panel_matrix.h) are
// tiles' layout already. No torch in here.

#include "ops/avx512_kernels.h"

namespace vernier {

struct AmxTiles {
  static constexpr int64_t kRows = 32;   ///< that go through a product together: two tiles
  static constexpr int64_t kDepth = 32;  ///< values along the contracted dimension in one tile: they must be a multiple
};

/// Those of bfloat16 with products on tiles, which any number of rows goes through at once; a row's bits do not depend on
/// the others. nullptr where the processor has no AMX, or the system keeps it from this process.
const Avx512Kernels* amx_kernels();

}  // namespace vernier
