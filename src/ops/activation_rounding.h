#pragma once

// What an engine does to the inputs of a matrix product before it multiplies. llama.cpp's CPU kernels multiply whole
// numbers: beside a quantized matrix the activations are rounded to 8 bits, in blocks that the matrix's type
// prescribes (Scheme::llama_cpp_rounding).
//
// @source ggml's vec_dot_type of each type and quantize_row_q8_0 / quantize_row_q8_K, checked against npm's libggml.
//         Left out: the 16-bit attention cache (median |delta log p| 0.0003 on demo-5m), and that q4_1 and q5_1 (q8_1
//         beside them) multiply their minimum by a sum of activations rounded to half precision.

#include "ops/arena.h"
#include "vernier/scheme.h"

namespace vernier {

/// y = x as the kernels see it. x and y may be the same rows; a row need not be a whole number of blocks.
void round_activations(ActivationRounding rounding, const Slab& x, const Slab& y);

}  // namespace vernier
