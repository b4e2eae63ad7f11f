#pragma once

// One stack of a model that sees: its answers to all of its inputs, and then, from the gradients of a loss by them, those
// of all of its matrices against their errors. An image is a window, whose loss is by one label. Of the stack that reads
// every prompt has a part in every image's loss: there the prompts are the sequences of a window, the same ones in all.

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "engine/aten_model.h"
#include "screen/errors.h"
#include "screen/kept_streams.h"
#include "screen/screen_pass.h"
#include "screen/streams.h"
#include "vernier/vision_inputs.h"

namespace vernier {

class OutsideMatrix;

class StackScreen {
 public:
  /// Runs the forward pass. @param components of this stack, named as those of a model of its own (stack_of)
  /// All but `components` and `options` must outlive it. @throws Error{kBadFile} when a state is not finite
  StackScreen(const Model& model, Stack stack, const Calibration& calibration, const AnswerData& data,
              const std::vector<Scheme>& schemes, std::vector<Component> components, const ScreenOptions& options,
              const LayerTick& tick, ProgressSink* progress);
  StackScreen(const StackScreen&) = delete;
  StackScreen& operator=(const StackScreen&) = delete;

  /// What its passes take.
  static PassSize size_of(const ModelConfig& stack, const AnswerData& data);

  /// Logits or unit vectors, float32 [images or prompts, width].
  const at::Tensor& answers() const { return answers_; }
  /// @param by_answers of each image's loss by this stack's answers to the image [1, width], or to all prompts
  ///        [prompts, width]
  void differentiate(const std::vector<at::Tensor>& by_answers);

  const ScreenSums& sums() const { return sums_; }
  /// Named as the whole model's.
  std::vector<ScreenedMatrix> matrices() const;

 private:
  /// What goes in.
  struct Inputs {
    TokenWindow prompts;  ///< one after the other, filled up to the longest
    at::Tensor ids;       ///< the same [prompts, time]; undefined where the stack sees
    at::Tensor rows;      ///< int64, where each sequence answers, among the rows that the last layer keeps
  };
  static Inputs inputs_of(const ModelConfig& stack, const AnswerData& data);
  static std::vector<ScreenWindow> windows_of(const ModelConfig& stack, const Inputs& inputs, const AnswerData& data);
  bool sees() const { return model_.config().reads_images(); }
  at::Tensor pixels(size_t image) const;
  StreamsAt entering() const;
  StreamsAt of_windows(const StreamsAt& streams) const;
  void run(StreamsAt& streams, int layer, bool first) const;
  void differentiate_read_out(const std::vector<at::Tensor>& by_answers, std::vector<at::Tensor>& gradients,
                              OutsideMatrix& head, OutsideMatrix& distilled) const;
  void add_patches(const std::vector<at::Tensor>& gradients);

  const AnswerData& data_;
  const ScreenOptions options_;
  LayerTick tick_;
  int threads_;
  Stack stack_;
  Model model_;
  Inputs inputs_;
  AtenModel aten_;
  SchemeErrors errors_;
  ScreenSums sums_;
  std::vector<ScreenedMatrix> matrices_;
  ScreenPass pass_;
  std::optional<KeptStreams> streams_;
  StreamsAt finals_;  // normed rows that the last layer keeps [sequences, rows, hidden]
  at::Tensor answers_;
};

}  // namespace vernier
