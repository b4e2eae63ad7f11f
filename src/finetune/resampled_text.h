#pragma once

// Texts some of whose tokens the full-precision model draws anew: off what it has by heart, close to what it knows.

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "finetune/batch_forward.h"

namespace vernier {

/// Each token but the first of a text is, with probability `share`, drawn again from all the model's answers before it.
/// @shape ids int64 [texts, time]; logits [texts, time, vocabulary], of those texts, on the same device; the n-th text is
/// draw number first_draw + n
/// @cost a sum over the vocabulary for each token that is drawn
at::Tensor resampled_text(const at::Tensor& ids, const at::Tensor& logits, double share, uint64_t seed,
                          int64_t first_draw);

/// All windows of a set so, once: what stands for new text where a checkpoint is chosen. Everything else is as it was.
/// `batch` windows at once, in products of `mixed` arithmetic.
TrainingData resampled_windows(const TrainingData& data, const BatchForward& teacher, const at::Device& device,
                               int64_t batch, bool mixed, double share, uint64_t seed);

}  // namespace vernier
