#pragma once

// Images, and the texts beside them, as a model that sees is calibrated and measured on: what classify.h makes of labelled
// images, or anybody of their own.
//
//   const AnswerData data = answer_data(model, read_manifest("cifar10/test.csv"), prompt_templates("single"));
//   const Calibration calibration = calibrate_vision(model, data.inputs);
//   const Diagnosis diagnosis = diagnose(model, calibration, data);

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace vernier {

/// What goes into a model that sees.
struct VisionInputs {
  std::string name;
  std::string hash;  ///< of image files, labels, the preprocessing and prompts; of neither names nor groups
  int64_t images = 0;
  /// An image [channels, side, side] as the model's preprocessing makes it. Asked for from several threads at once, and
  /// again for every pass.
  std::function<std::vector<float>(int64_t image)> pixels;
  std::vector<std::vector<int32_t>> texts;  ///< of a model that also reads, each with its end
};

/// The same with what is answered to it: each image is an example.
struct AnswerData {
  /// Texts are prompts, class after class and of each class equally many, from which its vector is made.
  VisionInputs inputs;
  int64_t classes = 0;
  std::vector<int32_t> labels = {};      ///< class of each image; -1: unknown
  std::vector<int64_t> clusters = {};    ///< of each image, what is no evidence of its own: copies share one
  std::vector<std::string> groups = {};  ///< of each image, whose damage is told apart; empty, or "": none
};

}  // namespace vernier
