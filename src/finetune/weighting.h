#pragma once

// How the losses of examples become one number to go down, a row each: alike, or more for whoever has it worse.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "vernier/finetune.h"

namespace vernier {

/// What is known of all that is learned from.
struct WeightingFacts {
  std::vector<int64_t> group_examples{};  ///< by group
  std::vector<int64_t> class_examples{};  ///< by class; empty where examples have none
  double dro_rate = 0.01;                 ///< eta of Group DRO
  double cvar_share = 0.3;                ///< of a batch
};

/// Of one run; what it learns of the groups is its state.
class Weighting {
 public:
  virtual ~Weighting() = default;
  /// The next batch: index of the group and class of each example (classes: -1 where there are none).
  /// @return float32 [examples] on the CPU: what each counts, before anybody knows its loss
  virtual at::Tensor weights_of(const std::vector<int32_t>& groups, const std::vector<int32_t>& classes);
  /// @shape losses [examples] of that batch; weights as weights_of gave them, on the same device
  /// @return scalar
  virtual at::Tensor combine(const at::Tensor& losses, const at::Tensor& weights) = 0;
  /// Whether combine() waits for the losses, to learn from them.
  virtual bool reads_losses() const { return false; }
  /// For checkpoints; empty for those that learn nothing.
  virtual std::vector<double> state() const { return {}; }
  virtual void restore(const std::vector<double>& /*state*/) {}
};

struct WeightingRow {
  std::string name;
  std::string about;   ///< one clause, for help texts
  std::string source;  ///< the paper that it follows
  /// @throws Error{kInvalidArgument} where the facts lack what it needs
  std::unique_ptr<Weighting> (*make)(const WeightingFacts& facts) = nullptr;
};

const std::vector<WeightingRow>& weightings();
/// @throws Error{kInvalidArgument} that lists what exists
const WeightingRow& find_weighting(const std::string& name);

/// Of the examples and labels of `data`, and what the options say.
WeightingFacts weighting_facts(const TrainingData& data, const FinetuneOptions& options);

}  // namespace vernier
