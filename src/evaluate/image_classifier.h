#pragma once

// A model that sees, made ready to tell classes apart: its own, or CLIP's by prompts that name them.

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "vernier/classify.h"
#include "vernier/model.h"

namespace vernier {

class ImageClassifier {
 public:
  /// `engine` must outlive it. @throws Error as classify_images @cost packs the weights; of CLIP, also a pass per prompt
  ImageClassifier(const Model& model, const std::vector<std::string>& classes, const ClassifyOptions& options,
                  const Engine& engine);

  const std::string& name() const { return name_; }
  /// The stack that sees.
  const Model& seeing() const { return seeing_; }
  /// Unit vectors of CLIP's classes times e^logit_scale, [classes][width]; empty for a classifier.
  const std::vector<std::vector<float>>& class_vectors() const { return vectors_; }

  /// How the inputs of that stack are rounded; its ranges are named as stack_of names sites.
  const PrepareOptions& prepared() const { return prepared_; }

  /// Logits of an image's pixels, as preprocessing makes them. From several workers at once.
  /// @throws Error{kInvalidArgument} for another number of classes than the images have
  std::vector<float> logits(int worker, std::span<const float> pixels) const;
  /// Of several images at once (Engine::inputs_at_once).
  std::vector<std::vector<float>> logits(int worker, std::span<const std::vector<float>> images) const;

 private:
  std::vector<float> logits_of(const std::vector<float>& answer) const;

  std::string name_;
  size_t classes_;
  std::vector<std::vector<float>> vectors_;
  Model seeing_;
  PrepareOptions prepared_;
  std::unique_ptr<AnsweringModel> eye_;
};

}  // namespace vernier
