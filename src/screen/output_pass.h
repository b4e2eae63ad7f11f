#pragma once

// The end of the model: labels are drawn, and their gradient goes into the output matrix and the states that it
// multiplies. A tile of the vocabulary at a time where all of it would take too much memory; then the logits are made
// twice.

#include <ATen/core/Tensor.h>

#include <vector>

#include "screen/screen_pass.h"

namespace vernier {

/// By window.
struct OutputGradients {
  std::vector<at::Tensor> states;  ///< gradient of -log p of the labels by the normed states [scored, hidden]
  std::vector<double> label_nll;   ///< sum, nats
  /// Tied embeddings: the output matrix' gradient at the rows of the tokens that the window reads (`tokens`).
  std::vector<std::vector<int64_t>> tokens;  ///< each once, ascending
  std::vector<at::Tensor> token_gradients;   ///< [tokens, hidden]
  std::vector<double> label_squares;         ///< sum of (p - onehot)^2 of each row of the output matrix; for the limit
  // Of the output matrix, for which no rows are gathered; empty unless it is screened.
  std::vector<GradientSums> sums;
  WeightSums weights;
};

/// @param finals Streams::finals()
/// @throws Error{kBadFile} when a state is not finite
OutputGradients output_gradients(const ScreenPass& pass, const std::vector<at::Tensor>& finals);

/// Rows of the vocabulary per tile: all of them, or as many whole bins as fit.
int64_t vocabulary_tile(int64_t vocabulary, int64_t bytes_per_row, int64_t memory_bytes);

}  // namespace vernier
