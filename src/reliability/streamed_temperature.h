#pragma once

// The temperature of least loss where logits pass by once and are not kept: slope and curvature of the loss are summed at
// some temperatures, and the root of the slope lies between two of them.
//
//   StreamedTemperature sums;
//   for (each token) sums.add(logits, label);
//   print(sums.fit());

#include <array>
#include <cstdint>
#include <functional>

#include "base/json.h"

namespace vernier {

class StreamedTemperature {
 public:
  static constexpr size_t kNodes = 9;
  /// 1/T of the nodes: 1/4, 1/4 sqrt 2 ... 4.
  static double inverse_temperature(size_t node);

  /// Mean and variance of an example's logits under weights e^(beta logit), and its label's logit: at each node the loss'
  /// first and second derivative by beta.
  void add(size_t node, double mean, double variance, double label_logit);
  void add(const StreamedTemperature& other);
  bool empty() const { return examples_ == 0; }
  void count_example() { ++examples_; }

  /// In 1/4 to 4, beyond which it stays at the end. By the cubic through slopes and curvatures at two nodes: within 1e-3
  /// of its logarithm, a hundredth of what the loss would notice. NaN without examples.
  double fit() const;

  Json json() const;
  static StreamedTemperature from(const Json& json);

 private:
  int64_t examples_ = 0;
  std::array<double, kNodes> slope_{}, curvature_{};
};

}  // namespace vernier
