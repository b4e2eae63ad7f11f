#pragma once

// The inputs of one stack among those of its model.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/read_out.h"
#include "vernier/model_config.h"
#include "vernier/vision_inputs.h"

namespace vernier {

inline int64_t inputs_of_stack(const ModelConfig& stack, const VisionInputs& data) {
  return stack.reads_images() ? data.images : static_cast<int64_t>(data.texts.size());
}

/// Tokens of the longest text; 0 for a stack that reads none.
inline int64_t longest_text(const ModelConfig& stack, const VisionInputs& data) {
  size_t longest = 0;
  if (!stack.reads_images())
    for (const std::vector<int32_t>& text : data.texts) longest = std::max(longest, text.size());
  return static_cast<int64_t>(longest);
}

/// fn(input), while its pixels are there.
template <class Fn>
auto with_input(const ModelConfig& stack, const VisionInputs& data, size_t input, Fn&& fn) {
  if (!stack.reads_images()) return fn(ModelInput(std::span<const int32_t>(data.texts[input])));
  const std::vector<float> pixels = data.pixels(static_cast<int64_t>(input));
  return fn(ModelInput(std::span<const float>(pixels)));
}

}  // namespace vernier
