#pragma once

// What isolated perturbations are asked for, whoever multiplies: windows of a language model, or the answers of a stack to
// whole inputs.

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

#include "vernier/component.h"
#include "vernier/model.h"
#include "vernier/stack.h"

namespace vernier {

/// Values of a matrix, from the model or from elsewhere: a quantized version.
using WeightSource = std::function<at::Tensor(const TensorId&)>;

/// One component under one set of replacement weights.
struct Perturbation {
  Component component;
  /// Replacement for the whole tensor, float32; only the component's slice of it is used. Asked for while the sweep is
  /// at the component's layer.
  WeightSource weight;
};

/// Sums over the scored tokens of one window; of a model that answers for whole images, a window is an image and its
/// answer the one token.
struct DamageSums {
  double tokens = 0, kl = 0, delta_nll = 0, same_top = 0;
};

/// Exact isolated perturbation by suffix: layer by layer, with the base's stream kept, and only what comes after a
/// component run again. A perturbation by nothing takes the same path, so its damage is exactly 0.
class Sweep {
 public:
  virtual ~Sweep() = default;
  /// Damage of each perturbation of one layer, [perturbation][window]; the layers of a stack must be asked for in order,
  /// and a layer may be asked with no perturbations. `on_window` is called after each window, from any thread and several at
  /// once; what it throws ends the sweep.
  virtual std::vector<std::vector<DamageSums>> layer(Stack stack, int layer,
                                                     const std::vector<Perturbation>& perturbations,
                                                     const std::function<void()>& on_window) = 0;
  /// The same of a matrix outside of the layers, at any time.
  virtual std::vector<DamageSums> outside(const Perturbation& perturbation) = 0;
  /// All replaced at once by another model of the same shape.
  virtual std::vector<DamageSums> whole_model(const Model& other) = 0;
  /// Logits of the scored rows of a window in the base's arithmetic, float32 [scored, vocabulary] on the CPU; of an
  /// image [1, classes].
  virtual at::Tensor base_logits(size_t window) = 0;
};

/// The same path of one stack that answers for whole inputs, up to its answers, float32 [inputs, classes or width] on the
/// CPU. Components and weights are named as those of a model of its own (stack_of).
class AnswerSweep {
 public:
  virtual ~AnswerSweep() = default;
  /// Answers under each perturbation of one layer; layers in order, as Sweep. `on_input` as on_window.
  virtual std::vector<at::Tensor> layer(int layer, const std::vector<Perturbation>& perturbations,
                                        const std::function<void()>& on_input) = 0;
  virtual at::Tensor outside(const Perturbation& perturbation) = 0;
  virtual at::Tensor whole_stack(const Model& other) = 0;
  /// Without any.
  virtual const at::Tensor& base() const = 0;
};

}  // namespace vernier
