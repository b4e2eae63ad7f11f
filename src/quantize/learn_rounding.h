#pragma once

// Learned rounding: the codes of all matrices of a layer chosen together, by the gradient of what the layer gives away.
// Every weight may move by half the distance of its levels from where it begins, and is rounded to its grid whenever the
// layer is run; the steps that a format stores learn too, but for codebooks of several weights.
//
//   const std::vector<StoredMatrix> better =
//       learn_rounding(problem, block, matrices, {.learned_on = {0, 1, 2}, .judged_on = {3, 4}}, {.steps = 200});

#include <vector>

#include "quantize/layer_problem.h"
#include "vernier/stored_matrix.h"
#include "vernier/value_search.h"

namespace vernier {

/// Windows by their number.
struct LearningText {
  std::vector<size_t> learned_on, judged_on;
};

struct LearnedMatrix {
  TensorId id;
  at::Tensor weight;  ///< float32 [rows, cols]
  StoredMatrix start;
  std::vector<float> importance;  ///< as encode() takes it; only codebooks of several weights ask for it
};

/// The matrices of least layer_error() on `judged_on` among those met on the way, `start` itself where none is better.
/// `block`: the layer's, whose other tensors stay. The bits do not depend on the threads.
/// @source SignRound (arXiv:2309.05516, eq. 3-5): offsets within half a level and factors of the range by signed gradients,
///         the rate falling linearly from 1 / steps. Here a weight begins where the code lies that a search found, any grid
///         takes part, factors start from searched ranges and go either way, and what is best is said by other text
/// @cost steps x (windows x three forward passes of the layer + rounding its weights); memory as weight_gradients
std::vector<StoredMatrix> learn_rounding(const LayerProblem& problem, const AtenBlock& block,
                                         const std::vector<LearnedMatrix>& matrices, const LearningText& text,
                                         const LearningSchedule& schedule);

/// The block with the values of these matrices in the place of its own.
AtenBlock block_with(const AtenBlock& block, const std::map<TensorId, at::Tensor>& values);

}  // namespace vernier
