#pragma once

// Examples through a model in differentiable ATen: what each row answers, and what would be right.

#include <ATen/core/Tensor.h>

#include <optional>
#include <span>
#include <vector>

#include "engine/aten_model.h"
#include "engine/rounded_inputs.h"
#include "finetune/losses.h"
#include "vernier/finetune.h"

namespace vernier {

/// Some examples as a model takes them, on its device.
struct ExampleBatch {
  at::Tensor inputs;          ///< int64 [examples, rows], short texts padded at their end; or pixels
  at::Tensor seen_patches{};  ///< int64 [images, some]: which of each image's are shown; undefined: all
  at::Tensor labels;          ///< int64 [examples, rows], -1 where nothing is scored
  at::Tensor texts;        ///< of a model of images and texts: int64 [texts, time], on the CPU: prompts, then captions
  int64_t classes = 0;     ///< that the prompts name
  int64_t captions = 0;    ///< the last so many texts: of each example its own; 0: the prompts of its class
  at::Tensor same_text{};  ///< bool [examples, examples]
};

/// @throws Error{kUnsupported} for models that answer nothing; {kInvalidArgument} for data of the other kind, and ids
/// outside the vocabulary
void check_trainable(const Model& model, const TrainingData& data);

/// `rows`: that texts are padded to; 0: those of the longest
ExampleBatch batch_of(const TrainingData& data, std::span<const int64_t> examples, const at::Device& device,
                      int64_t rows = 0);

/// From the CPU, without waiting for what the device is doing.
at::Tensor sent(const at::Tensor& t, const at::Device& device);

/// A model that answers one batch after the other by its own tensors, in float32, on their device: gradients flow to each
/// that requires one. The model must outlive it.
class BatchForward {
 public:
  struct How {
    RoundedInputs inputs{};               ///< how the inputs of its matrices are rounded
    bool kernel_attention = false;        ///< as AtenModel::Place has it
    bool once = false;                    ///< no second derivative is asked for
    bool streams_need_gradients = false;  ///< also of a model of whose tensors none does
    /// Of the same configuration: what depends on positions alone is taken from there.
    const BatchForward* beside = nullptr;
  };
  /// `rows`: of the longest text
  BatchForward(const Model& model, int64_t rows, const at::Device& device, const How& how);

  /// @return logits [examples, rows, classes], of a model of images and texts also its pairs
  Answered answers(const ExampleBatch& batch) const;

  /// Of a language model, the two halves of that: its last states [examples, rows, width()], and what it answers by them.
  at::Tensor states(const at::Tensor& ids) const;
  at::Tensor logits_of(const at::Tensor& states) const;
  int64_t width() const;

 private:
  const Model& model_;
  How how_;
  std::optional<AtenModel> ready_;  // of models of one stack
};

/// Rows of the longest example; 1 of images.
int64_t longest_rows(const TrainingData& data);

/// BatchForward for a single batch.
Answered batch_answers(const Model& model, const ExampleBatch& batch, const RoundedInputs& inputs = {});

/// `judged` beside `teacher`.
Answered beside(Answered judged, const Answered& teacher);

}  // namespace vernier
