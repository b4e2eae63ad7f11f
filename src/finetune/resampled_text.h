#pragma once

// Texts some of whose tokens the full-precision model draws anew: off what it has by heart, close to what it knows.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

#include "finetune/batch_forward.h"

namespace vernier {

/// Which tokens of a batch are drawn anew, and from which part of the answers.
struct Redraws {
  at::Tensor drawn;  ///< bool [texts, time]
  at::Tensor until;  ///< float32 [texts, time], in [0, 1): the sum of probabilities at which to stop
};
/// Each token but the first of a text, with probability `share`; the n-th text is draw number first_draw + n. On the CPU.
Redraws redraws_of(int64_t texts, int64_t time, double share, uint64_t seed, int64_t first_draw);
/// The same for some of `data`; what the model wrote itself stays as it is, and so does the beginning of every piece.
Redraws redraws_of(const TrainingData& data, std::span<const int64_t> examples, int64_t time, double share,
                   uint64_t seed, int64_t first_draw);

/// Tokens drawn again from all the model's answers before them.
/// @shape ids int64 [texts, time]; logits [texts, time, vocabulary], of those texts; all on the same device
/// @cost a sum over the vocabulary for each token, whether it is drawn or not
at::Tensor resampled_text(const at::Tensor& ids, const at::Tensor& logits, const Redraws& redraws);

/// All windows of a set so, once: what stands for new text where a checkpoint is chosen. Everything else is as it was.
/// `batch` windows at once, in products of `mixed` arithmetic.
TrainingData resampled_windows(const TrainingData& data, const BatchForward& teacher, const at::Device& device,
                               int64_t batch, bool mixed, double share, uint64_t seed);

}  // namespace vernier
