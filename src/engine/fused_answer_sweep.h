#pragma once

// The isolated sweep of a stack that answers for whole inputs, on the CPU.

#include <functional>
#include <vector>

#include "engine/suffix_sweep.h"
#include "engine/sweep.h"
#include "vernier/vision_inputs.h"

namespace vernier {

class FusedAnswerSweep : public AnswerSweep {
 public:
  /// `data` and `model` must outlive it. @cost one forward pass, and a stream per input in memory
  FusedAnswerSweep(const Model& model, const VisionInputs& data, ComputeType type, int threads);

  std::vector<at::Tensor> layer(int layer, const std::vector<Perturbation>& perturbations,
                                const std::function<void()>& on_input) override;
  at::Tensor outside(const Perturbation& perturbation) override;
  at::Tensor whole_stack(const Model& other) override;
  const at::Tensor& base() const override { return answers_; }

 private:
  /// fn(ops, input) -> its answer
  template <class Fn>
  at::Tensor answers_by(Fn&& fn);

  const Model& model_;
  const VisionInputs& data_;
  int64_t positions_;
  SuffixSweep suffix_;
  std::vector<std::vector<float>> finals_;  ///< per input: the base's normed answering rows [1 or 2, hidden]
  at::Tensor answers_;
};

}  // namespace vernier
