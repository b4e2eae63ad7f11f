#pragma once

// The isolated sweep of a model that sees: an image is a window, its answer is the one thing scored. A classifier is one
// stack. Of a model of images and texts the prompts make the classes: a component of the image tower moves the images'
// vectors, one of the text tower those of the classes.

#include <map>
#include <memory>
#include <vector>

#include "engine/engine.h"
#include "engine/sweep.h"
#include "vernier/vision_inputs.h"

namespace vernier {

class VisionSweep : public Sweep {
 public:
  /// All must outlive it. @cost as Engine::answer_sweep, per stack
  /// @throws Error{kInvalidArgument} where the data are not what the model answers to; {kUnsupported} for language models
  VisionSweep(const Engine& engine, const Model& model, const AnswerData& data, ComputeType type);

  std::vector<std::vector<DamageSums>> layer(Stack stack, int layer, const std::vector<Perturbation>& perturbations,
                                             const std::function<void()>& on_window) override;
  std::vector<DamageSums> outside(const Perturbation& perturbation) override;
  std::vector<DamageSums> whole_model(const Model& other) override;
  at::Tensor base_logits(size_t window) override;

 private:
  /// One of its stacks, named as a model of its own.
  struct Part {
    Model model;
    std::unique_ptr<AnswerSweep> sweep;
  };
  at::Tensor classes_of(const Model& model, const at::Tensor& prompts) const;
  at::Tensor logits(const at::Tensor& images, const at::Tensor& classes) const;
  std::vector<DamageSums> compare(Stack stack, const at::Tensor& answers) const;
  std::vector<DamageSums> compare_answers(const at::Tensor& images, const at::Tensor& classes) const;

  const Engine& engine_;
  const Model& model_;
  const AnswerData& data_;
  std::map<Stack, std::unique_ptr<Part>> parts_;
  at::Tensor images_;   ///< the base's answers, float64 [images, classes or width]
  at::Tensor classes_;  ///< the base's vectors of classes, float64 [classes, width]; undefined for a classifier
};

/// @throws Error{kInvalidArgument} where the data are not what the model answers to: its number of classes, prompts
/// where it reads and none elsewhere, a label and a cluster per image; {kUnsupported} for language models
void check_answer_data(const Model& model, const AnswerData& data, const char* stage);

}  // namespace vernier
