#pragma once

// Codes of codebooks of several weights, in plain ATen on any device: what Codebook::nearest_jointly searches weight by
// weight on the CPU, for a whole matrix at once, so that training can ask for it often.

#include <ATen/core/Tensor.h>

#include "scheme/codebook.h"

namespace vernier {

class JointRounding {
 public:
  JointRounding(const Codebook& book, const at::Device& device);

  /// Codes of least sum w (scale * level - x)^2 that the codebook has side by side. Where an even number of eight weights
  /// must be negative and is not, the weight of least w |x| takes the other sign, as ggml has it: the best codes of those
  /// signs, which are not always the best of all. On the CPU Codebook::nearest_jointly is exact there.
  /// @shape x float32 [rows, cols]; scale [rows, segments, 1], segments that divide cols into multiples of joint();
  ///        weights [cols] -> uint8 [rows, cols]
  /// @cost all points for every set of weights: cols * points * 2 multiply-adds a row, 2^26 costs in memory at once
  at::Tensor codes(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& weights) const;
  /// The levels of codes, float32.
  at::Tensor levels(const at::Tensor& codes) const;
  /// Weights whose codes depend on each other.
  int64_t joint() const { return joint_; }

 private:
  at::Tensor codes_of_rows(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& table,
                           const at::Tensor& weights) const;

  int64_t joint_, dims_, magnitudes_;
  bool even_;
  at::Tensor points_;  // [points, dims]: numbers of magnitudes, uint8
  at::Tensor sizes_;   // [points, dims]: those magnitudes
  at::Tensor levels_;  // [codes]
};

}  // namespace vernier
