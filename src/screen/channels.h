#pragma once

// Statistics per input and output channel, gathered sequence by sequence.

#include <ATen/core/Tensor.h>

#include <map>
#include <vector>

#include "screen/products.h"
#include "screen/screen_sums.h"
#include "vernier/screen.h"

namespace vernier {

/// Of the rows that entered a matrix in one sequence. @shape [cols]; empty for a look-up
struct InputSums {
  std::vector<double> magnitudes;
  std::vector<float> largest;
};
/// inputs [rows, cols]
InputSums input_sums(const at::Tensor& inputs);

class ChannelTable {
 public:
  explicit ChannelTable(const std::vector<ScreenWindow>& windows);

  /// Sequences in their order. `inputs` may be nullptr.
  void add(const TensorId& id, size_t window, const GradientSums& gradients, const InputSums* inputs);
  std::vector<ChannelScores> scores(size_t schemes) const;

 private:
  struct Totals {
    GradientSums gradients;
    InputSums inputs;
  };
  const std::vector<ScreenWindow>& windows_;
  std::vector<double> tokens_, positions_;  // by domain
  std::map<std::pair<TensorId, size_t>, Totals> totals_;
};

}  // namespace vernier
