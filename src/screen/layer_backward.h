#pragma once

// One layer of one sequence, or of several of a length, differentiated: the gradient of the stream that entered it, and for each of its matrices the
// rows that went in and the gradients of what came out, whose product is the matrix' own gradient.

#include <ATen/core/Tensor.h>

#include <functional>

#include "engine/aten_model.h"

namespace vernier {

/// Of a matrix: inputs [rows, in], gradients [..., out] of as many rows. An expert's are those of the tokens it got; one
/// that got none is not called for.
using MatrixVisitor = std::function<void(const TensorId&, const at::Tensor& inputs, const at::Tensor& gradients)>;

/// What a loss' gradient by what leaves the layer is, of what leaves it.
using LeavingGradient = std::function<at::Tensor(const at::Tensor& leaving)>;

/// @param stream what entered the layer [sequences, positions, hidden]
/// @param gradient by what leaves it [sequences, positions, hidden]; of the last layer by the normed states, those from first_row on
/// @return by the stream, as it
at::Tensor layer_backward(const AtenModel& model, const Blueprint& blueprint, const AtenBlock& block, int64_t first_row,
                          const at::Tensor& stream, const at::Tensor& gradient, const MatrixVisitor& visit);
/// The same for a gradient that depends on what leaves.
at::Tensor layer_backward(const AtenModel& model, const Blueprint& blueprint, const AtenBlock& block, int64_t first_row,
                          const at::Tensor& stream, const LeavingGradient& gradient, const MatrixVisitor& visit);

/// What leaves the layer, as its gradient is by: forward alone, differentiated where the caller says so.
at::Tensor layer_forward(const AtenModel& model, AtenOps& ops, const AtenBlock& block, int64_t first_row,
                         const at::Tensor& stream);

}  // namespace vernier
