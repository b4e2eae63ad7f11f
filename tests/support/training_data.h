#pragma once

// Small sets to learn from: made-up windows of three uneven groups, and made-up images.

#include <ATen/ATen.h>

#include "support/models.h"
#include "support/vision_models.h"
#include "vernier/finetune.h"

namespace vernier {

inline TrainingData made_up_training(int64_t count, uint32_t first = 0) {
  TrainingData data;
  data.name = "made up";
  data.hash = "made up " + std::to_string(count) + " " + std::to_string(first);
  data.groups = {"many", "few", "rare"};
  const EvaluationData windows = made_up_windows(count + static_cast<int64_t>(first), 24, 320);
  for (int64_t i = 0; i < count; ++i) {
    data.windows.push_back(windows.windows[static_cast<size_t>(i) + first]);
    data.windows.back().first_row = 0;
    data.group.push_back(i % 8 == 7 ? 2 : i % 4 == 3 ? 1 : 0);
  }
  return data;
}

/// Of made-up windows: so few steps mend a fifth and more of what 2 bits do to a fixture, measured once, at their end.
inline FinetuneOptions forty_steps() {
  FinetuneOptions options;
  options.steps = options.evaluate_steps = 40;
  options.batch = 8;
  options.learning_rate = 3e-3;
  return options;
}

inline TrainingData made_up_images(const Model& model, int64_t count, int64_t classes = 0) {
  const PatchConfig& patches = model.config().patches;
  if (classes == 0) classes = model.config().read_out.classes;
  at::manual_seed(11);
  TrainingData data;
  data.name = "made up";
  data.hash = "images " + std::to_string(count);
  data.groups = {"even", "odd"};
  data.pixels = at::randn({count, patches.channels, patches.image_size, patches.image_size});
  for (int64_t i = 0; i < count; ++i) {
    data.group.push_back(static_cast<int32_t>(i % 2));
    data.labels.push_back(static_cast<int32_t>(i % classes));
    data.image_hashes.push_back("image " + std::to_string(i));
  }
  return data;
}

/// Of the fixture "clip": every golden text names a class; captions are those texts, too.
inline TrainingData made_up_image_texts(const Model& model, int64_t count, bool captions) {
  const AnswerData golden = golden_answer_data(model, "clip");
  TrainingData data = made_up_images(stack_of(model, Stack::kImage), count, golden.classes);
  data.classes = golden.classes;
  data.prompts = golden.inputs.texts;
  for (int64_t i = 0; captions && i < count; ++i)
    data.captions.push_back(data.prompts[static_cast<size_t>(i % 3 % golden.classes)]);
  return data;
}

}  // namespace vernier
