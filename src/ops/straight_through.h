#pragma once

// Rounding that a gradient does not see (arXiv 1308.3432).

#include <ATen/core/Tensor.h>

namespace vernier {

/// `values`, which need no gradient, as if they were `latent`: their gradient is that of the identity. No pass over them,
/// where values + (latent - latent.detach()) takes two. @shape alike
at::Tensor with_gradient_of(const at::Tensor& latent, const at::Tensor& values);

}  // namespace vernier
