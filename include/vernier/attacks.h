#pragma once

// Small changes of an image that are looked for so that a model answers something else. Quantization can hide gradients
// without making a model robust, so that one attack is none: by gradient, from another model, and without any gradient.
//
//   const ImageLogits logits_of = differentiable_logits(model, {}, preprocessor);
//   const Attacked found = pgd(logits_of, pictures, picture_labels, {.radius = 8.0 / 255});
//   print(found.fooled);

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "vernier/compute.h"
#include "vernier/images.h"
#include "vernier/model.h"

namespace vernier {

/// Images [batch, 3, height, width] in [0, 1] -> logits [batch, classes].
using ImageLogits = std::function<at::Tensor(const at::Tensor& images)>;

/// Where and in what type a model under attack is computed. Images, logits and gradients stay where the images are.
struct AttackedPlace {
  at::ScalarType type = at::kFloat;  ///< or kDouble, to check gradients
  at::Device device = at::kCPU;
  /// What layers multiply in on the CPU, by packed matrices, with type kFloat; nothing: plain operations.
  std::optional<ComputeType> packed = {};
};

/// Of the stack that sees, through the preprocessor's mean and deviation (resizing happens before). Weights are constants,
/// so that those of a quantized model are what they are. From several threads at once. Must outlive the logits that are
/// differentiated.
/// @param class_vectors of CLIP, [classes][width]; empty for a classifier
/// @param activations how the inputs of its matrices are rounded: gradients go straight through
/// @cost copies all weights
ImageLogits differentiable_logits(const Model& seeing, const std::vector<std::vector<float>>& class_vectors,
                                  const ImagePreprocessor& preprocessor, const AttackedPlace& place = {},
                                  const Activations& activations = Activations::kExact,
                                  const ActivationRanges& ranges = {});

enum class AttackNorm { kLinf, kL2 };

struct AttackSettings {
  double radius = 8.0 / 255;  ///< how far an image may be changed, in the norm
  AttackNorm norm = AttackNorm::kLinf;
  int steps = 10;
  int restarts = 1;   ///< from other random starts; the first one of each starts within the ball as well
  int queries = 200;  ///< of the square attack
  uint64_t seed = 1;
  /// PGD changes an image until it is answered wrongly: as many are fooled, at a fraction of the cost, but its image is
  /// no longer that of the greatest loss.
  bool until_fooled = false;
  /// Of each image in its data, so that what is drawn for it does not depend on its batch; empty: 0, 1, 2 ...
  std::vector<int64_t> images = {};
};

struct Attacked {
  at::Tensor images;         ///< of the greatest loss that was seen
  std::vector<bool> fooled;  ///< whether any image that was tried is answered wrongly
};

/// Whether each answer is another one than its label.
std::vector<bool> wrong_answers(const at::Tensor& logits, const at::Tensor& labels);

/// Of the cross entropy of each image, and where `logits` is given what the images are answered on the way.
/// @shape as images; labels: [batch] int64 @cost a pass forward and back
at::Tensor loss_gradient(const ImageLogits& logits_of, const at::Tensor& images, const at::Tensor& labels,
                         at::Tensor* logits = nullptr);

/// One step along the sign of the gradient (Goodfellow et al. 2015, arXiv 1412.6572), from loss_gradient, which serves
/// every radius. @cost a pass forward
Attacked fgsm(const ImageLogits& logits_of, const at::Tensor& images, const at::Tensor& labels,
              const at::Tensor& gradient, double radius);
/// With the gradient of its own.
Attacked fgsm(const ImageLogits& logits_of, const at::Tensor& images, const at::Tensor& labels, double radius);

/// Projected gradient ascent on the cross entropy (Madry et al. 2018, arXiv 1706.06083), steps of a quarter of the radius
/// (a fifth in l2), from a random start each.
/// @cost up to restarts * (steps + 1) passes forward and back
Attacked pgd(const ImageLogits& logits_of, const at::Tensor& images, const at::Tensor& labels,
             const AttackSettings& settings);

/// Random squares at the border of the linf ball, kept where the margin shrinks (Andriushchenko et al. 2020, arXiv
/// 1912.00049, with AutoAttack's first share of 0.8). Asks for answers only. @cost up to `queries` passes forward
Attacked square_attack(const ImageLogits& logits_of, const at::Tensor& images, const at::Tensor& labels,
                       const AttackSettings& settings);

}  // namespace vernier
