// A Hugging Face directory with the values an engine would compute with, in float32, and the plan beside them: for
// schemes that no engine's file stores yet, and for other programs to measure. The model must come from such a directory.

#include <ATen/ATen.h>

#include <algorithm>
#include <map>

#include "base/fail.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/output_file.h"
#include "engine/require_finite.h"
#include "export/target_table.h"
#include "format/safetensors_writer.h"
#include "vernier/quantize.h"

namespace vernier {

namespace fs = std::filesystem;

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
constexpr const char* kTemplates = "additional_chat_templates/";
constexpr const char* kPlan = "vernier_plan.json";
constexpr const char* kWeights = "model.safetensors";

void require_directory(const Model& model) {
  if (model.source().gguf)
    fail(ErrorKind::kInvalidArgument,
         "export: huggingface: {} is a GGUF file; start from the Hugging Face directory that it was made from",
         model.source().path.string());
}

/// Names in the folder of what is copied.
std::vector<std::string> copied_files(const fs::path& source) {
  std::vector<std::string> names;
  for (const char* name : kCompanions)
    if (fs::exists(source / name)) names.emplace_back(name);
  std::error_code code;
  for (fs::directory_iterator entry(source / kTemplates, code), end; !code && entry != end; entry.increment(code))
    if (entry->path().extension() == ".jinja") names.push_back(kTemplates + entry->path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

Json config_of(const Model& model) {
  Json config = read_json(model.source().path / "config.json");
  config["dtype"] = "float32";
  if (model.config().is_language_model())  // a source may leave it to its tensors to tell
    config["tie_word_embeddings"] = model.config().tied_embedding;
  config.erase("torch_dtype");
  return config;
}

SafetensorsWriter declare_weights(const Model& model) {
  SafetensorsWriter writer;
  writer.set_metadata("format", "pt");
  for (const StoredTensor& tensor : stored_tensors(model.blueprint(), &TensorSpec::hugging_face))
    writer.add(tensor.name, DType::kF32, tensor.shape);
  return writer;
}

/// As the folder stores it: parts of a fused tensor one below the other, transposed where it is, less 1 where it is.
at::Tensor stored_values(const QuantizedModel& quantized, const StoredTensor& tensor) {
  std::vector<at::Tensor> parts;
  for (const TensorSpec* part : tensor.parts) {
    parts.push_back(quantized.values(part->id));
    require_finite(quantized.source(), part->id, parts.back());
  }
  const at::Tensor rows = parts.size() == 1 ? parts[0] : at::cat(parts, 0);
  const FileTensor& stored = tensor.parts[0]->hugging_face;
  if (stored.less_one) return rows - 1;
  return (stored.transposed && rows.dim() == 2 ? rows.t() : rows).contiguous();
}

std::vector<std::string> written_files() {
  std::vector<std::string> names(std::begin(kCompanions), std::end(kCompanions));
  names.insert(names.end(), {kTemplates, "config.json", kPlan, kWeights});
  return names;
}

/// Weights that lie there would be read together with what is written, or in its place.
void require_own_folder(const fs::path& folder) {
  std::error_code code;
  if (fs::exists(folder / kPlan, code)) return;  // an earlier output, which is replaced
  for (fs::directory_iterator entry(folder, code), end; !code && entry != end; entry.increment(code)) {
    const fs::path name = entry->path().filename();
    const std::string text = name.string();
    if (name == "config.json" || name.extension() == ".safetensors" || text.ends_with(".safetensors.index.json"))
      fail(ErrorKind::kInvalidArgument, "export: {} holds another model ({}); name a new folder", folder.string(),
           text);
  }
}

uint64_t folder_bytes(const Model& model, const Plan& plan, const TokenizerModel&, const ExportOptions&) {
  require_directory(model);
  schemes_of(plan, model);
  const fs::path source = model.source().path;
  uint64_t bytes =
      declare_weights(model).file_bytes() + json_text(config_of(model)).size() + json_text(plan_to_json(plan)).size();
  for (const std::string& name : copied_files(source)) bytes += fs::file_size(source / name);
  return bytes;
}

/// As if the schemes were stored: that every value takes four bytes here is no reason to choose one over another.
uint64_t counted_bytes(const Model& model, const Plan& plan, const TokenizerModel&, const ExportOptions&) {
  require_directory(model);
  uint64_t bytes = 0;
  const std::map<TensorId, Scheme> schemes = schemes_of(plan, model);
  for (const TensorId& id : model.tensors()) {
    const std::vector<int64_t> shape = model.shape(id);
    const auto scheme = schemes.find(id);
    bytes += scheme != schemes.end() ? scheme->second.bytes(shape[0], shape[1])
                                     : Scheme::parse("f32").bytes(1, c10::multiply_integers(shape));
  }
  return bytes;
}

std::string folder_hash(const Model& model, const Plan& plan, const TokenizerModel&, const ExportOptions&) {
  require_directory(model);
  Hasher hasher;
  hasher.add(json_text(config_of(model)));
  hasher.add(json_text(plan_to_json(plan)));
  for (const std::string& name : copied_files(model.source().path)) {
    hasher.add(name);
    hasher.add(read_file(model.source().path / name));
  }
  return hasher.hex();
}

void write_folder(const QuantizedModel& quantized, const TokenizerModel&, const fs::path& folder, const ExportOptions&,
                  ProgressSink* progress) {
  const Model& model = quantized.source();
  require_directory(model);
  const fs::path source = model.source().path;
  const SafetensorsWriter writer = declare_weights(model);
  require_own_folder(folder);
  // First gone and last written: a folder without weights is not mistaken for a finished one.
  remove_file(folder / kWeights);
  for (const std::string& name : copied_files(source)) write_file(folder / name, read_file(source / name));
  write_json(folder / "config.json", config_of(model));
  write_json(folder / kPlan, plan_to_json(quantized.plan()));
  const std::vector<StoredTensor> tensors = stored_tensors(model.blueprint(), &TensorSpec::hugging_face);
  if (progress != nullptr) progress->begin("quantize", static_cast<int64_t>(tensors.size()), "tensors");
  int64_t done = 0;
  writer.write(folder / kWeights, [&](size_t index, const ByteSink& append) {
    const at::Tensor values = stored_values(quantized, tensors[index]);
    append({static_cast<const std::byte*>(values.data_ptr()), values.nbytes()});
    model.release_pages();
    if (progress != nullptr) progress->update(++done);
  });
  if (progress != nullptr) progress->end();
}

}  // namespace

Target hugging_face_target() {
  return {.name = "huggingface",
          .about = "a directory of the values that the schemes stand for, in float32",
          .rules = {.target = "huggingface",
                    .schemes = {"int2:g32:asym", "int3:g64:asym", "int4:g128:sym", "int4:g128:asym", "int4:g32:asym",
                                "int5:g128:asym", "int6:g128:asym", "int8:channel:sym", "f16"},
                    .fixed_scheme = "f32"},
          .four_bit_schemes = {"int4:g128:sym"},
          .output = "model",
          .files = written_files(),
          .stored_as = "f32",
          .needs_tokenizer = false,
          .file = &TensorSpec::hugging_face,
          .context_length = [](const ModelConfig& config) { return config.context_length; },
          .losses = [](const Model&, const TokenizerModel&) { return std::vector<std::string>{}; },
          .takes_source = [](const ModelSource&) { return false; },
          .file_bytes = folder_bytes,
          .counted_bytes = counted_bytes,
          .header_hash = folder_hash,
          .write = write_folder};
}

}  // namespace vernier
