#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <set>

#include "base/fail.h"
#include "base/json.h"
#include "format/bytes.h"
#include "format/sharded_safetensors.h"
#include "model/architecture.h"
#include "model/config.h"
#include "model/hub_cache.h"
#include "model/loaders.h"
#include "model/model_folder.h"

namespace vernier {

namespace {

Scheme scheme_of(const SafetensorsEntry& entry) {
  switch (entry.dtype) {
    case DType::kF32: return Scheme::parse("f32");
    case DType::kF16: return Scheme::parse("f16");
    case DType::kBF16: return Scheme::parse("bf16");
    default:
      fail(ErrorKind::kUnsupported, "load: {}: type {}; supported: F32, F16, BF16; save the model in one of them",
           entry.name, entry.dtype_name);
  }
}

/// How a file spells the names of the blueprint: what stands in place of the architecture's body, and before others.
struct Spelling {
  std::string body, head;

  std::string name(const std::string& common, std::string_view own_body) const {
    return common.starts_with(own_body) ? body + common.substr(own_body.size()) : head + common;
  }
};

std::vector<Spelling> spellings(const std::string& body) {
  return {
      {body, ""},                     // the model with its output matrix
      {"", ""},                       // the base model saved alone
      {"model.language_model.", ""},  // the text half of a model of several kinds, new and old
      {"language_model." + body, "language_model."},
      {"module." + body, "module."},  // saved through a wrapper: data parallel, compiled
      {"_orig_mod." + body, "_orig_mod."},
  };
}

/// The spelling of a name that every model of the architecture has; nothing when the tensors have none of them.
std::optional<Spelling> spelling_of(const ShardedSafetensors& files, const std::string& name, const std::string& body) {
  for (const Spelling& spelling : spellings(body))
    if (files.find(spelling.name(name, body)) != nullptr) return spelling;
  return std::nullopt;
}

/// Where the output matrix is not stored, it is the embedding or it is missing; only config.json can tell. The library
/// default of the flag is false, but files written without it and without the matrix exist, and they are tied.
void settle_output_matrix(const Json& json, bool stored, const std::string& name, ModelConfig& config,
                          ModelSource& source) {
  if (config.tied_embedding || stored) return;
  if (json_find(json, "tie_word_embeddings") != nullptr)
    fail(ErrorKind::kBadFile,
         "load: {}: tensor {} is missing, and config.json says tie_word_embeddings: false; set that to true if the "
         "output matrix is the embedding, or else download or save the whole model again, with its output matrix",
         source.path.string(), name);
  config.tied_embedding = true;
  source.warnings.push_back(
      fmt::format("{}: no {}, and config.json does not say tie_word_embeddings; the embedding is taken as the output "
                  "matrix. Say true or false in config.json to settle it",
                  source.path.string(), name));
}

/// Of two matrices of one shape.
bool same_values(const SafetensorsEntry& a, const SafetensorsEntry& b) {
  if (a.dtype == b.dtype) return std::equal(a.data.begin(), a.data.end(), b.data.begin(), b.data.end());
  const int64_t rows = a.shape[0], cols = a.shape[1];
  const Scheme first = scheme_of(a), second = scheme_of(b);
  std::vector<float> x(static_cast<size_t>(cols)), y(x.size());
  for (int64_t r = 0; r < rows; ++r) {
    const auto row = [&](const SafetensorsEntry& entry, const Scheme& scheme, std::vector<float>& out) {
      const uint64_t bytes = scheme.bytes(1, cols);
      decode(scheme, entry.data.subspan(static_cast<uint64_t>(r) * bytes, bytes), 1, cols, out);
    };
    row(a, first, x);
    row(b, second, y);
    if (x != y) return false;
  }
  return true;
}

/// The model class outside of transformers that auto_map names; empty when there is none. It may compute something else
/// than its model_type says, though most such classes only run faster.
std::string own_code(const Json& json) {
  const Json* map = json_find(json, "auto_map");
  for (const char* loaded : {"AutoModelForCausalLM", "AutoModel"})
    if (const Json* name = map == nullptr ? nullptr : json_find(*map, loaded))
      return name->is_string() ? name->get<std::string>() : name->dump();
  return "";
}

/// A tensor that is there whatever a configuration says of the output matrix: the first one of a layer.
const TensorSpec& in_every_model(const Blueprint& blueprint) {
  return *std::find_if(blueprint.tensors().begin(), blueprint.tensors().end(),
                       [](const TensorSpec& spec) { return spec.id.layer == 0; });
}

}  // namespace

ModelOutline outline_hugging_face(const std::filesystem::path& folder) {
  const Json json = read_model_config(folder);
  refuse_quantized_config(folder, json);
  ModelOutline outline;
  ModelConfig& config = outline.config;
  ModelSource& source = outline.source;
  config = parse_config(json, "load: " + (folder / "config.json").string());
  const auto files = std::make_shared<const ShardedSafetensors>(folder);
  refuse_quantized_tensors(folder, json, files->entries());

  outline.mapping = files;
  outline.release_pages = [files] { files->release_pages(); };
  source.path = folder;
  source.name = name_of_model_folder(folder);
  if (std::filesystem::exists(folder / "adapter_config.json"))
    source.warnings.push_back(
        fmt::format("{}: an adapter lies beside the model (adapter_config.json); it is not applied", folder.string()));
  if (const std::string code = own_code(json); !code.empty())
    source.warnings.push_back(fmt::format(
        "{}: config.json names code of the model's own ({}), which is not run; the model is computed as any "
        "other {}",
        folder.string(), code, config.family));
  const Architecture& row = architecture_of(config);
  const std::string body(row.body);
  const TensorId embedding{TensorRole::kTokenEmbedding, -1};
  const std::string output = tensor_name(row.hugging_face, shared_hugging_face_names(), {TensorRole::kOutput, -1});
  Blueprint blueprint(config);
  const auto known = spelling_of(*files, in_every_model(blueprint).hugging_face.name, body);
  const Spelling spelling = known.value_or(spellings(body)[0]);
  const SafetensorsEntry* output_entry = files->find(spelling.name(output, body));
  if (known && config.is_language_model()) {
    settle_output_matrix(json, output_entry != nullptr, spelling.name(output, body), config, source);
    blueprint = Blueprint(config);
  }

  std::set<std::string> used;
  const SafetensorsEntry* embedding_entry = nullptr;
  for (const TensorSpec& spec : blueprint.tensors()) {
    const TensorId& id = spec.id;
    std::string name = spelling.name(spec.hugging_face.name, body);
    const SafetensorsEntry* entry = files->find(name);
    if (entry == nullptr && id == embedding && config.tied_embedding && output_entry != nullptr) {
      entry = output_entry;  // one matrix, stored under its other name
      name = output_entry->name;
    }
    if (entry == nullptr)
      fail(ErrorKind::kBadFile,
           "load: {}: tensor {} is missing; a {} model with {} layers has it{}. Download the weights again, or the "
           "config.json that belongs to them",
           folder.string(), name, config.family, config.depth(),
           known || files->entries().empty()
               ? ""
               : fmt::format("; the first tensor there is {}", files->entries()[0]->name));
    if (entry->shape != spec.hugging_face.shape)
      fail(ErrorKind::kBadFile, "load: {}: expected {}, got {}; config.json and weights do not belong together", name,
           shape_text(spec.hugging_face.shape), shape_text(entry->shape));
    if (id == embedding) embedding_entry = entry;
    const Scheme scheme = scheme_of(*entry);
    outline.tensors.push_back({id, spec.shape, scheme, part_of(spec, spec.hugging_face, scheme, entry->data), 0,
                               spec.hugging_face.transposed && spec.shape.size() > 1 ? entry->shape[1] : 0,
                               spec.hugging_face.less_one});
    used.insert(std::move(name));
  }
  // A tied model may store its matrix twice. Copies that differ are read in two ways by the versions of transformers.
  if (config.tied_embedding && output_entry != nullptr && used.insert(output_entry->name).second &&
      (output_entry->shape != embedding_entry->shape || !same_values(*embedding_entry, *output_entry)))
    fail(ErrorKind::kUnsupported,
         "load: {}: config.json says tie_word_embeddings: true, but {} differs from the embedding; set it to false to "
         "use {}, or remove that tensor to use the embedding",
         folder.string(), output_entry->name, output_entry->name);
  // A weight that the forward would silently leave out makes every number wrong.
  const auto unread = [&](const std::string& name) {
    return std::any_of(row.unread.begin(), row.unread.end(), [&](std::string_view end) { return name.ends_with(end); });
  };
  for (const SafetensorsEntry* entry : files->entries())
    if (!used.contains(entry->name) && !unread(entry->name))
      fail(ErrorKind::kUnsupported, "load: {}: tensor {} is not part of a {} model as config.json describes it",
           folder.string(), entry->name, config.family);
  return outline;
}

}  // namespace vernier
