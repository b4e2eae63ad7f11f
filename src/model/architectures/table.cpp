#include <algorithm>

#include "base/fail.h"
#include "model/architectures/rows.h"

namespace vernier {

namespace {

/// "llama, mistral and qwen2".
std::string listed(std::string_view Architecture::*word, bool only_gguf) {
  std::vector<std::string_view> words;
  for (const Architecture* row : architectures())
    if (!(only_gguf ? row->gguf.empty() : row->model_types.empty()) &&
        std::find(words.begin(), words.end(), row->*word) == words.end())
      words.push_back(row->*word);
  std::string text;
  for (size_t i = 0; i < words.size(); ++i)
    text += fmt::format("{}{}", i == 0 ? "" : i + 1 == words.size() ? " and " : ", ", words[i]);
  return text;
}

}  // namespace

const std::vector<const Architecture*>& architectures() {
  // clang-format off
  static const std::vector<const Architecture*> rows = {
      &mixtral_architecture(),
      &llama_architecture(),
      &mistral_architecture(),
      &qwen2_architecture(),
      &qwen3_architecture(),
      &qwen2_moe_architecture(),
      &qwen3_moe_architecture(),
      &smollm3_architecture(),
      &phi3_architecture(),
      &olmo3_architecture(),
      &olmo2_architecture(),
      &olmoe_architecture(),
      &gemma2_architecture(),
      &gemma3_architecture(),
      &gpt2_architecture(),
      &vit_architecture(),
      &deit_distilled_architecture(),
      &deit_architecture(),
      &clip_architecture(),
      &clip_image_architecture(),
      &clip_text_architecture(),
  };
  // clang-format on
  return rows;
}

const Architecture& architecture_of(const ModelConfig& config) {
  for (const Architecture* row : architectures())
    if (row->name == config.family) return *row;
  fail(ErrorKind::kInternal, "architecture \"{}\" is not in the table", config.family);
}

const Architecture& architecture_of_config(const ConfigFile& file) {
  const std::string model_type = file.text("model_type");
  for (const Architecture* row : architectures())
    if (std::find(row->model_types.begin(), row->model_types.end(), model_type) != row->model_types.end() &&
        (row->claims_config == nullptr || row->claims_config(file)))
      return *row;
  fail(ErrorKind::kUnsupported, "{}: model_type \"{}\"; supported: {}", file.origin(), model_type,
       listed(&Architecture::name, false));
}

const Architecture& architecture_of_gguf(const GgufFile& file) {
  const std::string& name = file.get_string("general.architecture");
  for (const Architecture* row : architectures())
    if (row->gguf == name && row->read_gguf != nullptr && (row->claims_gguf == nullptr || row->claims_gguf(file)))
      return *row;
  fail(ErrorKind::kUnsupported, "load: {}: architecture \"{}\"; supported: {}", file.path().string(), name,
       listed(&Architecture::gguf, true));
}

}  // namespace vernier
