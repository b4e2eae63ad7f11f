#include "engine/read_out.h"

#include <algorithm>

#include "base/fail.h"

namespace vernier {

int64_t answering_row(const ModelConfig& config, std::span<const int32_t> tokens) {
  const ReadOutConfig& read_out = config.read_out;
  if (read_out.row != ReadOutConfig::Row::kEnd) return 0;
  const auto end = read_out.end_token < 0 ? std::max_element(tokens.begin(), tokens.end())
                                          : std::find(tokens.begin(), tokens.end(), read_out.end_token);
  if (end == tokens.end())
    fail(ErrorKind::kInvalidArgument,
         "forward: a text of {} tokens without its end, token {}; tokenize it with the model's own tokenizer, and cut "
         "long texts before the end is added",
         tokens.size(), read_out.end_token);
  return end - tokens.begin();
}

std::span<const int32_t> read_tokens(const ModelConfig& config, const ModelInput& input) {
  return input.tokens.first(static_cast<size_t>(answering_row(config, input.tokens)) + 1);
}

int64_t answering_rows(const ModelConfig& config, int64_t rows) {
  return config.reads_images() ? config.patches.count() : rows - 1;
}

void check_input(const ModelConfig& config, const ModelInput& input, const std::string& name) {
  const PatchConfig& patches = config.patches;
  if (config.reads_images() && static_cast<int64_t>(input.pixels.size()) != patches.pixels())
    fail(
        ErrorKind::kInvalidArgument,
        "forward: {}: expected images of {} x {} x {} values, got {}; resize and crop them as preprocessor_config.json "
        "says",
        name, patches.channels, patches.image_size, patches.image_size, input.pixels.size());
  if (!config.reads_images() && input.tokens.empty())
    fail(ErrorKind::kInvalidArgument, "forward: {} reads texts: expected at least one token", name);
}

void require_read_out(const ModelConfig& config, const std::string& name) {
  if (!config.stacks.empty())
    fail(ErrorKind::kUnsupported, "forward: {} ({}) has several stacks; expected one of them, of images or of texts",
         name, config.family);
  if (config.read_out.row == ReadOutConfig::Row::kEvery)
    fail(ErrorKind::kUnsupported,
         "forward: {} ({}) is a language model; expected a classifier or an encoder with a projection", name,
         config.family);
}

}  // namespace vernier
