#pragma once

// A scheme applied to one weight matrix: what diagnosing, quantizing and exporting all do to a tensor.
//
//   at::Tensor values = quantize_values(Scheme::parse("gguf:q4_k"), weight, importance, threads, "L3.ffn_down");

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <string>
#include <vector>

#include "vernier/scheme.h"

namespace vernier {

/// Values of `weight` [rows, cols] after a round trip through `scheme`: float32 [rows, cols].
/// `importance`: mean square of each input channel [cols], or empty for all alike; integer grids do not use it.
/// `threads`: ranges of rows run on so many, except where rows share a scale (intN:tensor). Results do not depend on
/// it.
/// @throws Error{kInvalidArgument} naming `what` when the shape does not fit or a value is not finite
at::Tensor quantize_values(const Scheme& scheme, const at::Tensor& weight, const std::vector<float>& importance,
                           int threads, const std::string& what);

/// The stored bytes of the same: Scheme::bytes(rows, cols) many, which decode() reads. Integer grids, whose codes,
/// scales and zero points are stored apart, run on one thread.
std::vector<std::byte> quantize_bytes(const Scheme& scheme, const at::Tensor& weight,
                                      const std::vector<float>& importance, int threads, const std::string& what);

}  // namespace vernier
