#pragma once

// Which row of a stack answers for its whole input, and what an input is.

#include <cstdint>
#include <span>
#include <string>

#include "vernier/model_config.h"

namespace vernier {

/// What a stack is run on: the tokens of a text, or the pixels of an image [channels, side, side] as its preprocessing
/// makes them.
struct ModelInput {
  ModelInput(std::span<const int32_t> text) : tokens(text) {}  // NOLINT: either is an input
  ModelInput(std::span<const float> image) : pixels(image) {}  // NOLINT
  std::span<const int32_t> tokens;
  std::span<const float> pixels;
};

/// The row that the class is read from, or that of a text's end. @throws Error{kInvalidArgument} for a text without its end
int64_t answering_row(const ModelConfig& config, std::span<const int32_t> tokens);

/// The tokens of a text that are run: its stack being causal, those after the answering row change nothing.
std::span<const int32_t> read_tokens(const ModelConfig& config, const ModelInput& input);

/// From which of a stream's rows on answers are read: an image's learned rows are its last, and so is a text's end.
int64_t answering_rows(const ModelConfig& config, int64_t rows);

/// @throws Error{kInvalidArgument} where the input is not what the stack takes: `name` is that of the model
void check_input(const ModelConfig& config, const ModelInput& input, const std::string& name);

/// @throws Error{kUnsupported} for a stack whose rows each answer for themselves, and for a model of several stacks, which
/// are run one by one (stack_of)
void require_read_out(const ModelConfig& config, const std::string& name);

}  // namespace vernier
