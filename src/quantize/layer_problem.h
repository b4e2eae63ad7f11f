#pragma once

// What a layer of a model that is being quantized should do, and how far from that it is: the layer's output on the text,
// given what the layers before it have become.
//
//   const LayerProblem problem{net, model.blueprint(), layer, entering, wanted, metric, threads};
//   layer_error(problem, block, {0, 1, 2});        // of three of the windows
//   weight_gradients(problem, block, {0, 1, 2});   // by every matrix of the block

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <vector>

#include "engine/aten_model.h"

namespace vernier {

struct LayerProblem {
  const AtenModel& net;  ///< positions, and the norm behind the last layer
  const Blueprint& blueprint;
  int layer = 0;
  /// By window [1, positions, hidden]: what enters the layer of the model that is quantized so far ...
  const std::vector<at::Tensor>& entering;
  /// ... and what leaves it in the model as it was; of the last layer the normed states.
  const std::vector<at::Tensor>& wanted;
  /// What an error costs, symmetric [hidden, hidden].
  at::Tensor metric;
  int threads = 1;
};

/// What an error there costs by the second moments of gradients [hidden, hidden], with mean diagonal 1; a tenth of it is that
/// of channels alike, since what few gradients say is believed only so far.
at::Tensor layer_metric(const at::Tensor& gradients);

/// Mean over the tokens of e M e' / |y|^2 with y [hidden] wanted, e the error there and M the metric: what reads y norms it
/// first, so that errors count by its size. The bits do not depend on the threads.
double layer_error(const LayerProblem& problem, const AtenBlock& block, const std::vector<size_t>& windows);

/// Half the gradient of the sum over the tokens, by every matrix of the block. @shape as the matrices
/// @cost memory: what enters the matrices and its gradient, of all `windows`
std::map<TensorId, at::Tensor> weight_gradients(const LayerProblem& problem, const AtenBlock& block,
                                                const std::vector<size_t>& windows);

/// What a matrix would cost if neither its columns nor its rows had to do with each other: mean squares, over the tokens, of
/// what enters it and of what its outputs' errors do to layer_error(). sum_ij rows_i cols_j E_ij^2, E its error.
struct PlainCosts {
  at::Tensor rows, cols;
};
/// @param seed of random errors in what leaves the layer, which are traced back
/// @cost a forward and a backward pass over `windows`
std::map<TensorId, PlainCosts> plain_costs(const LayerProblem& problem, const AtenBlock& block,
                                           const std::vector<size_t>& windows, uint64_t seed);

/// What leaves the layer, by window. @shape as LayerProblem::wanted
std::vector<at::Tensor> leaving_streams(const AtenModel& net, const AtenBlock& block,
                                        const std::vector<at::Tensor>& entering, int threads);

}  // namespace vernier
