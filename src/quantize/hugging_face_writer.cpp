#include <ATen/ATen.h>

#include <filesystem>

#include "base/json.h"
#include "base/output_file.h"
#include "format/safetensors_writer.h"
#include "vernier/quantize.h"

namespace vernier {

namespace {

/// What goes along as it is, where the source has it.
constexpr const char* kCompanions[] = {"tokenizer.json",
                                       "tokenizer_config.json",
                                       "special_tokens_map.json",
                                       "added_tokens.json",
                                       "vocab.json",
                                       "merges.txt",
                                       "tokenizer.model",
                                       "chat_template.jinja",
                                       "chat_template.json",
                                       "generation_config.json",
                                       "preprocessor_config.json"};

}  // namespace

std::vector<std::string> dequantized_file_names() {
  std::vector<std::string> names(std::begin(kCompanions), std::end(kCompanions));
  names.insert(names.end(), {"config.json", "vernier_plan.json", "model.safetensors"});
  return names;
}

void save_dequantized(const QuantizedModel& quantized, const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  const Model& model = quantized.model;
  const fs::path source = model.source().path;
  SafetensorsWriter writer;
  writer.set_metadata("format", "pt");
  const std::vector<StoredTensor> tensors = stored_tensors(model.blueprint(), &TensorSpec::hugging_face);
  for (const StoredTensor& tensor : tensors) writer.add(tensor.name, DType::kF32, tensor.shape);
  fs::create_directories(folder);
  for (const char* name : kCompanions)
    if (fs::exists(source / name)) write_file(folder / name, read_file(source / name));
  Json config = read_json(source / "config.json");
  config["dtype"] = "float32";
  config["tie_word_embeddings"] = model.config().tied_embedding;  // which the source may leave to its tensors to tell
  config.erase("torch_dtype");
  write_json(folder / "config.json", config);
  write_json(folder / "vernier_plan.json", plan_to_json(quantized.plan));
  // Last: a folder without weights is not mistaken for a finished one.
  writer.write(folder / "model.safetensors", [&](size_t index, const ByteSink& append) {
    std::vector<at::Tensor> parts;
    for (const TensorSpec* part : tensors[index].parts) parts.push_back(model.weight(part->id).to(at::kFloat));
    const at::Tensor rows = parts.size() == 1 ? parts[0] : at::cat(parts, 0);
    const bool transposed = tensors[index].parts[0]->hugging_face.transposed && rows.dim() == 2;
    const at::Tensor values = (transposed ? rows.t() : rows).contiguous();
    append({static_cast<const std::byte*>(values.data_ptr()), values.nbytes()});
  });
}

}  // namespace vernier
