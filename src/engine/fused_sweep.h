#pragma once

// The isolated sweep of a language model on the CPU: token windows, whose scored rows are compared tile by tile. No
// stored logits.

#include <functional>
#include <vector>

#include "engine/engine.h"
#include "engine/suffix_sweep.h"
#include "vernier/data.h"
#include "vernier/model.h"

namespace vernier {

class FusedSweep : public Sweep {
 public:
  /// `data` and `model` must outlive the sweep. @cost one forward pass, and a stream per window in memory
  FusedSweep(const Model& model, const EvaluationData& data, ComputeType type, int threads);

  std::vector<std::vector<DamageSums>> layer(Stack stack, int layer, const std::vector<Perturbation>& perturbations,
                                             const std::function<void()>& on_window) override;
  std::vector<DamageSums> outside(const Perturbation& perturbation) override;
  std::vector<DamageSums> whole_model(const Model& other) override;
  at::Tensor base_logits(size_t window) override;

 private:
  /// hidden [variants][scored, hidden], contiguous, against the base, tile by tile; `head` makes their logits.
  std::vector<DamageSums> compare(Arena& arena, size_t window, const std::vector<Slab>& hidden,
                                  const StackedLinear& head) const;
  template <class Fn>
  std::vector<DamageSums> for_windows(const StackedLinear& head, Fn&& hidden_of);

  const Model& model_;
  const EvaluationData& data_;
  SuffixSweep suffix_;
  std::vector<std::vector<float>> finals_;  ///< per window: the base's normed final states, [scored, hidden]
};

}  // namespace vernier
