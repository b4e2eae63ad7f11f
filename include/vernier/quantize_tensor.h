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

/// Values of [rows, cols] after a round trip through `scheme`, float32. Row ranges run on `threads` threads.
/// @throws Error{kInvalidArgument} naming `what` when the shape does not fit or a value is not finite
at::Tensor quantize_values(const Scheme& scheme, const at::Tensor& weight, const std::vector<float>& importance,
                           int threads, const std::string& what);

/// The stored bytes of the same.
std::vector<std::byte> quantize_bytes(const Scheme& scheme, const at::Tensor& weight,
                                      const std::vector<float>& importance, int threads, const std::string& what);

}  // namespace vernier
