#pragma once

// What a change of the stream after a layer means for a model's answers: the metric in which streams are compared.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "finetune/batch_forward.h"

namespace vernier {

/// Fisher information about a row of the stream: a small change e of a row changes an example's answers by a KL of about
/// e' G e / 2 nats, on average over examples and rows. How rows act together is left out, as K-FAC leaves it out for the
/// output of a product (arXiv 1503.05671). On the model's device, of the type in which it is multiplied: float32, or
/// bfloat16 where it was made in mixed arithmetic.
struct StreamMetric {
  /// Of the last rows, as many as the last layer gives: of texts, in which all are alike, [hidden, hidden]; of images one
  /// for each, [rows, hidden, hidden].
  at::Tensor answering;
  at::Tensor
      others;  ///< of those before them, which answer through them [hidden, hidden]; undefined where there are none
};

struct StreamMetricSetup {
  int64_t rows = 0;  ///< of the longest text
  bool mixed = false;
  bool kernel_attention = false;  ///< as BatchForward has it
  uint64_t seed = 1;              ///< of the labels, which are drawn from the model's own answers
  /// Examples from number `first` on, on the model's device.
  std::function<ExampleBatch(int64_t first)> batch;
};

/// After every layer of `model`, of one stack and in float32, with a tenth of each G's trace spread over all directions:
/// it is known from 8 gradients for each of its columns, of at least 64 examples.
/// @cost a forward and a backward pass over 8 images for each number of a row, over texts of as many tokens
/// @throws Error{kInvalidArgument} where no row of so many examples is scored
std::vector<StreamMetric> stream_metrics(const Model& model, const StreamMetricSetup& setup);

/// The mean over layers of e' G e / 2, e how far the rows of a stream are from the teacher's, summed over an example's rows
/// and divided by how many are scored: nats, were each layer the only one that differs. Rows of texts that are not scored
/// do not count. @shape [examples]
at::Tensor stream_divergence(const std::vector<StreamMetric>& metrics, const Answered& answered);

}  // namespace vernier
