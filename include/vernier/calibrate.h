#pragma once

// What the model's linear layers are fed: per input channel mean square, mean magnitude and largest magnitude over a
// text. In: a Model and token windows. Out: a Calibration, stored as calibration.safetensors.
//
//   const Calibration calibration = calibrate(model, text_windows(tokenizer, "calib", text, {.score_all = true}), {});
//   calibration.importance(model, {TensorRole::kFfnDown, 3});   // [intermediate], E[x_j^2]

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "vernier/compute.h"
#include "vernier/data.h"
#include "vernier/model.h"
#include "vernier/progress.h"
#include "vernier/stack.h"
#include "vernier/vision_inputs.h"

namespace vernier {

/// Per token of the text: of an expert, tokens that it did not get count as zeros, since they make no error.
/// @shape one entry per input channel
struct ChannelStatistics {
  std::vector<float> mean_square;
  std::vector<float> mean_abs;
  std::vector<float> abs_max;
};

/// Moments of what enters a matrix over each part of the text: sums divided by the part's tokens (of an expert, those that
/// it did not get count as zeros). Undefined where a part has no tokens.
struct InputGrams {
  std::vector<at::Tensor> parts;  ///< x x': float32 [in, in], symmetric
  std::vector<at::Tensor> means;  ///< x: float32 [in]
};
/// The mean of some of the parts, which count alike. @shape float32 [in, in]
at::Tensor mean_gram(const InputGrams& grams, const std::vector<size_t>& parts);
/// The same of x. @shape float32 [in]
at::Tensor mean_input(const InputGrams& grams, const std::vector<size_t>& parts);

/// A window of the text, kept, as images are, so that statistics too large to store can be made from it again (Gram matrices).
struct CalibrationWindow {
  std::vector<int32_t> tokens;
  int64_t part = 0;  ///< which of the joined texts it begins in
};

struct Calibration {
  int schema_version = 1;
  std::string model_hash, data_name, data_hash;
  int64_t windows = 0;
  int64_t tokens = 0;
  std::map<SiteId, ChannelStatistics> sites;
  std::vector<CalibrationWindow>
      text;  ///< of a model that sees and reads its texts; empty of files from before it was kept
  /// As many of the images as 64 MiB hold, and their streams 256 MiB, evenly over them, as the model sees them; undefined
  /// without any.
  /// @shape float16 [count, channels, side, side]
  at::Tensor images;

  /// Mean square of the channels that multiply the tensor's columns; empty where the model never multiplies it by an
  /// activation (an untied embedding).
  std::vector<float> importance(const Model& model, const TensorId& id) const;
};

/// What it says of one stack of a model with several, as of a model of its own (stack_of).
Calibration stack_of(const Calibration& calibration, Stack stack);

/// What static rounding of activations spans at every site.
ActivationRanges activation_ranges(const Calibration& calibration);

/// @cost one forward pass over `data`; memory independent of its length
/// @throws Error{kInvalidArgument} for tokens outside the vocabulary
Calibration calibrate(const Model& model, const EvaluationData& data, const ComputeOptions& compute = {},
                      ProgressSink* progress = nullptr);

/// The same for classifiers of images and for CLIP. Statistics are per row that entered a site: patches, rows of the
/// stream, one answer per image or text.
/// @throws Error{kInvalidArgument} for language models, for images of another size, and where texts are missing or of no use
Calibration calibrate_vision(const Model& model, const VisionInputs& data, const ComputeOptions& compute = {},
                             ProgressSink* progress = nullptr);

/// Whole or not at all. @throws Error{kIo}
void save_calibration(const Calibration& calibration, const std::filesystem::path& path);
/// @throws Error{kBadFile, kIo}
Calibration load_calibration(const std::filesystem::path& path);
/// Content hash of what was measured, of which model and on which tokens; not of the file that holds it.
std::string calibration_hash(const Calibration& calibration);
/// @throws Error{kInvalidArgument} when the calibration belongs to a model of other shape or content
void check_calibration(const Calibration& calibration, const Model& model);

}  // namespace vernier
