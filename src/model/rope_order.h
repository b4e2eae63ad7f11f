#pragma once

// llama.cpp's llama architecture rotates neighbouring dimensions, Hugging Face the two halves of a head: rows (or bias
// entries) of q and k are reordered within each head on the way out, and back.

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace vernier {

/// @shape weight [heads * head_dim, in] or [heads * head_dim]
at::Tensor to_interleaved_rope(const at::Tensor& weight, int64_t heads);
at::Tensor from_interleaved_rope(const at::Tensor& weight, int64_t heads);
/// The latter without copying: a view [heads, 2, half, in] whose leading dimensions count the rows.
at::Tensor view_from_interleaved_rope(const at::Tensor& weight, int64_t heads);

}  // namespace vernier
