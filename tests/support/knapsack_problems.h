#pragma once

// Knapsack problems for tests and benchmarks, from fixed seeds and without <random>'s distributions, which differ
// between libraries.

#include <cmath>
#include <cstdint>
#include <string>

#include "vernier/plan.h"

namespace vernier {

class Lcg {
 public:
  explicit Lcg(uint64_t seed) : state_(seed * 2654435761u + 1) {}
  uint32_t next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint32_t>(state_ >> 33);
  }
  uint64_t below(uint64_t n) { return next() % n; }
  double unit() { return next() / 2147483648.0; }

 private:
  uint64_t state_;
};

/// Layers of seven matrices, sizes as in a Llama, damages falling by about 4 per bit with sensitivities over two orders
/// of magnitude. The budget lies `budget` of the way from the smallest to the largest choice.
inline KnapsackProblem transformer_problem(size_t tensors, size_t schemes, double budget, uint64_t seed) {
  struct Kind {
    const char* scheme;
    double bits, damage_bits;
  };
  static constexpr Kind kKinds[] = {{"gguf:q4_0", 4.5, 3.7},    {"gguf:q4_k", 4.5, 4.0}, {"gguf:q5_k", 5.5, 5.0},
                                    {"gguf:q6_k", 6.5625, 6.0}, {"gguf:q8_0", 8.5, 8.0}, {"f16", 16, 12}};
  static constexpr uint64_t kWeights[] = {4096 * 4096,  1024 * 4096,  1024 * 4096, 4096 * 4096,
                                          14336 * 4096, 14336 * 4096, 14336 * 4096};
  static constexpr const char* kRoles[] = {"attn_q",   "attn_k", "attn_v",  "attn_output",
                                           "ffn_gate", "ffn_up", "ffn_down"};
  Lcg random(seed);
  KnapsackProblem problem;
  double smallest = 0, largest = 0;
  for (size_t t = 0; t < tensors; ++t) {
    const double weights = static_cast<double>(kWeights[t % 7]);
    PlanItem item{.tensor = "blk." + std::to_string(t / 7) + "." + kRoles[t % 7] + ".weight", .candidates = {}};
    const double sensitivity = std::pow(10, 2 * random.unit()) * std::sqrt(weights) * 1e-5;
    for (size_t k = 6 - schemes; k < 6; ++k)
      item.candidates.push_back({kKinds[k].scheme, static_cast<uint64_t>(weights * kKinds[k].bits / 8),
                                 sensitivity * std::pow(4, -kKinds[k].damage_bits) * (0.8 + 0.4 * random.unit())});
    smallest += static_cast<double>(item.candidates.front().bytes);
    largest += static_cast<double>(item.candidates.back().bytes);
    problem.items.push_back(std::move(item));
  }
  problem.budget_bytes = static_cast<uint64_t>(smallest + budget * (largest - smallest));
  return problem;
}

}  // namespace vernier
