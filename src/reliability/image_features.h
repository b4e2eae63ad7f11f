#pragma once

// What a model that sees knows of an image before it names a class, and how classes are read from that.

#include <ATen/core/Tensor.h>

#include <memory>

#include "evaluate/image_classifier.h"

namespace vernier {

/// Linear: logits = features W^T + b. Of CLIP features are unit vectors, of a classifier what its output matrix multiplies
/// (of a distilled one both rows beside each other).
class ImageFeatures {
 public:
  /// `classifier` must outlive it; what it is asked is computed on `device`. @cost copies all weights
  explicit ImageFeatures(const ImageClassifier& classifier, at::Device device = at::kCPU);
  ~ImageFeatures();
  /// pixels as preprocessing makes them [batch, 3, side, side] -> [batch, width], float32, on the CPU both. From several threads
  /// at once.
  at::Tensor of(const at::Tensor& pixels) const;
  /// [batch, width] -> [batch, classes], float64
  at::Tensor logits(const at::Tensor& features) const;

 private:
  struct Ready;
  std::unique_ptr<Ready> ready_;
  at::Tensor weight_, bias_;  // float64 [classes, width], [classes]
};

}  // namespace vernier
