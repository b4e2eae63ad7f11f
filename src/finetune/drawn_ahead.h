#pragma once

// Texts as they are met next: some of their words drawn from the full-precision model's answers to how they were met last.
// It is asked for those answers anyway, so that drawing takes no forward pass of its own.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>

#include "vernier/finetune.h"

namespace vernier {

class DrawnAhead {
 public:
  /// All as they are given: 8 bytes on the device for each token of each text, all as long as the longest.
  /// @throws Error{kUnsupported} where that has no room
  DrawnAhead(const TrainingData& texts, const at::Device& device);

  /// @return int64 [examples, rows of the longest], as they are met next
  at::Tensor inputs(std::span<const int64_t> examples) const;
  /// `drawn`: for each of `examples` how it is met the next time; of one that came twice the latter.
  /// @shape drawn int64 [examples, rows of the longest]
  void keep(std::span<const int64_t> examples, const at::Tensor& drawn);

  /// For a checkpoint: float32 [texts, rows], which holds ids up to 2^24.
  at::Tensor state() const;
  /// @throws Error{kBadFile} naming `origin` if it is of other texts, or holds what no vocabulary of that size does
  void restore(const at::Tensor& state, int64_t vocabulary, const std::string& origin);

 private:
  at::Tensor inputs_;  // int64 [texts, rows]
};

}  // namespace vernier
