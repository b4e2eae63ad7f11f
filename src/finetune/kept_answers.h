#pragma once

// What the full-precision model says of all texts that are learned from, made at once and kept on the device, so that a
// step asks it for one product instead of a forward pass: its last states, before the output matrix.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

#include "finetune/batch_forward.h"

namespace vernier {

class KeptAnswers {
 public:
  struct How {
    int64_t batch = 16;   ///< texts at once while they are made
    bool mixed = false;   ///< in bfloat16, which is also how they are kept; otherwise in float32
    double resample = 0;  ///< as FinetuneOptions has it: tokens are drawn once a pass
    uint64_t seed = 0;
  };
  /// Both must outlive it. @throws Error{kUnsupported} if the device has no room for them: 2 bytes with `mixed`, else 4,
  /// for each token of each text, all as long as the longest, and number of its state; on a CPU the system may say so later,
  /// in its own way
  KeptAnswers(const TrainingData& texts, const BatchForward& teacher, const at::Device& device, const How& how);

  /// Those of the `pass`-th drawing, unless they are there. @cost a forward pass over all texts, two with `resample`
  void make(int64_t pass);

  /// @return int64 [examples, rows], of which some tokens may be drawn
  at::Tensor inputs(std::span<const int64_t> examples) const;
  /// @return [examples, rows, width], for BatchForward::logits_of
  at::Tensor states(std::span<const int64_t> examples) const;

 private:
  at::Tensor index(std::span<const int64_t> examples) const;

  const TrainingData& texts_;
  const BatchForward& teacher_;
  at::Device device_;
  How how_;
  int64_t pass_ = -1;
  at::Tensor inputs_, states_;
};

}  // namespace vernier
