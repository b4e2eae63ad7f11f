#pragma once

// AdamW (arXiv:1711.05101, algorithm 2, as PyTorch has it): moments as plain tensors, so that a checkpoint holds them.

#include <ATen/core/Tensor.h>

#include <vector>

namespace vernier {

struct AdamWOptions {
  double beta_1 = 0.9, beta_2 = 0.999, epsilon = 1e-8;
};

/// What is learned, with a rate of its own.
struct AdamWParameter {
  at::Tensor value;         ///< a leaf; changed in place
  double rate_factor = 1;   ///< times the learning rate
  double weight_decay = 0;  ///< per step, times the learning rate
  at::Tensor widths = {};   ///< of each number, times rate_factor; undefined: 1. Where it is 0 nothing is learned
};

class AdamW {
 public:
  AdamW(std::vector<AdamWParameter> parameters, const AdamWOptions& options = {});

  /// The `count`-th step, from 1. @shape gradients: one per parameter; an undefined one changes nothing; factor: one number
  /// on their device, by which each of them is multiplied first; undefined: 1
  void step(int64_t count, const std::vector<at::Tensor>& gradients, double learning_rate,
            const at::Tensor& factor = {});

  const std::vector<AdamWParameter>& parameters() const { return parameters_; }
  /// Factors of the rate, one per parameter, and widths, undefined where there are none.
  void set_rates(const std::vector<double>& factors, const std::vector<at::Tensor>& widths);
  /// First and second moments, by parameter.
  std::vector<at::Tensor>& first() { return first_; }
  std::vector<at::Tensor>& second() { return second_; }

 private:
  std::vector<AdamWParameter> parameters_;
  AdamWOptions options_;
  std::vector<at::Tensor> first_, second_;
};

}  // namespace vernier
