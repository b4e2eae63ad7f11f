#pragma once

// What an engine does to the inputs of a matrix product before it multiplies: nothing, what a kernel does, or rounding to
// integers. llama.cpp's CPU kernels multiply whole
// numbers: beside a quantized matrix the activations are rounded to 8 bits, in blocks that the matrix's type
// prescribes (Scheme::llama_cpp_rounding).
//
// @source ggml's vec_dot_type of each type and quantize_row_q8_0 / quantize_row_q8_K, checked against npm's libggml.
//         Left out: the 16-bit attention cache (median |delta log p| 0.0003 on demo-5m), and that q4_1 and q5_1 (q8_1
//         beside them) multiply their minimum by a sum of activations rounded to half precision.

#include <memory>
#include <utility>

#include "ops/arena.h"
#include "vernier/activation_grid.h"
#include "vernier/scheme.h"

namespace vernier {

struct InputRounding {
  ActivationRounding kernel = ActivationRounding::kNone;
  int bits = 0;                              ///< of symmetric integers; 0: none
  float range = 0;                           ///< the largest magnitude of their grid; 0: that of each row
  std::shared_ptr<const SiteRounding> site;  ///< all rows of the sequence at once; null: none

  InputRounding() = default;
  InputRounding(ActivationRounding own) : kernel(own) {}  // NOLINT: a kernel's rounding is one
  InputRounding(int own_bits, float own_range) : bits(own_bits), range(own_range) {}
  InputRounding(std::shared_ptr<const SiteRounding> own) : site(std::move(own)) {}  // NOLINT: the same of a site's
  bool none() const { return bits == 0 && kernel == ActivationRounding::kNone && site == nullptr; }
  bool operator==(const InputRounding&) const = default;
};

/// Codes are -this ... this, as of schemes' ":sym7": the largest magnitude is one of the grid's values. On ":sym" it would lie
/// half way between two, and which one it gets would hang on the last bit.
constexpr float largest_code(int bits) { return static_cast<float>((1 << (bits - 1)) - 1); }

/// y = x as it is multiplied; where all rows of a sequence are rounded at once, x must hold them. x and y may be the same
/// rows; a row need not be a whole number of a kernel's blocks.
void round_activations(const InputRounding& rounding, const Slab& x, const Slab& y);

}  // namespace vernier
