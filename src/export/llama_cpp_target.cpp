// A GGUF file that llama.cpp loads as it is: tensors in their schemes, tokenizer, chat template, and the recipe with a
// reason per tensor in `vernier.*` metadata, which names tensors as the file does.

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/fail.h"
#include "export/target_table.h"
#include "format/carried_metadata.h"
#include "format/gguf_tokenizer.h"
#include "format/gguf_value.h"
#include "format/gguf_writer.h"
#include "model/loaders.h"
#include "model/rope_order.h"
#include "ops/rope.h"
#include "vernier/quantize.h"
#include "vernier/version.h"

namespace vernier {

namespace {

/// The context length, cut to the shortest sliding window, which llama.cpp ignores for these models.
int64_t context_length(const ModelConfig& config) {
  int64_t context = config.context_length;
  for (const int64_t window : config.sliding_window)
    if (window > 0) context = std::min(context, window);
  return context;
}

bool interleaved_rope(const ModelConfig& config) { return config.family == "llama" || config.family == "mistral"; }

std::string architecture(const ModelConfig& config) { return interleaved_rope(config) ? "llama" : config.family; }

/// general.file_type is one number for a whole file; a mix is named after the type most bytes have.
uint32_t file_type(const Plan& plan) {
  static const std::map<std::string, uint32_t> kTypes = {
      {"f32", 0},        {"f16", 1},        {"gguf:q4_0", 2},  {"gguf:q4_1", 3},  {"gguf:q8_0", 7},
      {"gguf:q5_0", 8},  {"gguf:q5_1", 9},  {"gguf:q2_k", 10}, {"gguf:q3_k", 12}, {"gguf:q4_k", 15},
      {"gguf:q5_k", 17}, {"gguf:q6_k", 18}, {"bf16", 32}};
  std::map<std::string, uint64_t> bytes;
  for (const PlanEntry& entry : plan.entries) bytes[entry.scheme] += entry.bytes;
  const auto most =
      std::max_element(bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  const auto type = most == bytes.end() ? kTypes.end() : kTypes.find(most->first);
  return type == kTypes.end() ? 0 : type->second;
}

/// llama3's frequency bands travel as divisors of the plain frequencies.
std::vector<float> rope_divisors(const ModelConfig& config) {
  if (config.rope.kind == RopeConfig::Kind::kFactors) return config.rope.factors;
  if (config.rope.kind != RopeConfig::Kind::kLlama3) return {};
  RopeConfig plain;
  plain.theta = config.rope.theta;
  std::vector<float> divisors = rope_frequencies(plain, config.head_dim);
  const std::vector<float> bent = rope_frequencies(config.rope, config.head_dim);
  for (size_t i = 0; i < divisors.size(); ++i) divisors[i] /= bent[i];
  return divisors;
}

void add_hyperparameters(GgufWriter& writer, const ModelConfig& c) {
  const std::string arch = architecture(c);
  const auto u32 = [&](const std::string& key, int64_t value) {
    writer.set(arch + "." + key, static_cast<uint32_t>(value));
  };
  const auto f32 = [&](const std::string& key, double value) {
    writer.set(arch + "." + key, static_cast<float>(value));
  };
  u32("context_length", context_length(c));
  u32("embedding_length", c.hidden);
  u32("block_count", c.layers);
  u32("feed_forward_length", c.intermediate);
  u32("attention.head_count", c.heads);
  u32("attention.head_count_kv", c.kv_heads);
  u32("attention.key_length", c.head_dim);
  u32("attention.value_length", c.head_dim);
  f32("attention.layer_norm_rms_epsilon", c.norm_epsilon);
  u32("rope.dimension_count", c.head_dim);
  f32("rope.freq_base", c.rope.theta);
  u32("vocab_size", c.vocabulary);
  if (c.rope.kind == RopeConfig::Kind::kLinear || c.rope.kind == RopeConfig::Kind::kYarn) {
    const bool yarn = c.rope.kind == RopeConfig::Kind::kYarn;
    writer.set(arch + ".rope.scaling.type", std::string(yarn ? "yarn" : "linear"));
    f32("rope.scaling.factor", c.rope.factor);
    if (yarn) {
      u32("rope.scaling.original_context_length", c.rope.original_context);
      f32("rope.scaling.attn_factor", c.rope.attention_factor / llama_cpp_yarn_magnitude(c.rope.factor));
    }
  }
}

/// What llama.cpp's code for this architecture would silently or loudly get wrong.
void check_exportable(const ModelConfig& c) {
  const RopeConfig standard;
  if (c.rope.kind == RopeConfig::Kind::kYarn &&
      (c.rope.beta_fast != standard.beta_fast || c.rope.beta_slow != standard.beta_slow || !c.rope.truncate))
    fail(
        ErrorKind::kUnsupported,
        "export: YaRN with beta_fast {}, beta_slow {}, truncate {}: llama.cpp always takes {}, {} and true for {}, and "
        "would give other answers; --target huggingface writes a directory",
        c.rope.beta_fast, c.rope.beta_slow, c.rope.truncate, standard.beta_fast, standard.beta_slow, architecture(c));
  if (c.family == "qwen3" && c.attn_output_bias)
    fail(ErrorKind::kUnsupported,
         "export: {}: llama.cpp's qwen3 has no bias there and refuses the file; --target huggingface writes a "
         "directory",
         gguf_name({TensorRole::kAttnOutputBias, 0}));
  if (!rope_divisors(c).empty() && architecture(c) != "llama")
    fail(ErrorKind::kUnsupported,
         "export: rotary frequencies bent as Llama 3's: llama.cpp's code for {} has no place for them and refuses the "
         "file; --target huggingface writes a directory",
         architecture(c));
}

/// In place of a model's hash where only its length matters: reading a model for every size that planning asks for
/// would take longer than planning.
const std::string kAnyHash(32, '0');

/// What is known about the model beside its tensors: of a GGUF file what it says itself.
void add_origin(GgufWriter& writer, const ModelSource& source) {
  bool named = false;
  if (source.origin != nullptr)
    for (const GgufKeyValue& entry : *source.origin) {
      writer.set(entry.key, entry.value);
      named |= entry.key == "general.name";
    }
  if (!named) writer.set("general.name", source.name);
}

/// What a reader of the file looks tensors up by is the names in it.
Plan with_file_names(Plan plan, const std::vector<TensorId>& ids) {
  for (size_t i = 0; i < ids.size(); ++i) plan.entries[i].tensor = gguf_name(ids[i]);
  return plan;
}

/// Everything but the data: the same for the size and for the file.
GgufWriter declare(const Model& model, const Plan& plan, const TokenizerModel& tokenizer, const ExportOptions& options,
                   const std::string& source_hash = kAnyHash) {
  check_exportable(model.config());
  if (!options.tokenizer_pre.empty() && !options.tokenizer_pre_unchecked)
    check_gguf_pre_name(tokenizer, options.tokenizer_pre);
  const std::map<TensorId, Scheme> schemes = schemes_of(plan, model);
  GgufWriter writer;
  writer.set("general.architecture", architecture(model.config()));
  writer.set("general.type", std::string("model"));
  add_origin(writer, model.source());
  writer.set("general.file_type", file_type(plan));
  writer.set("general.quantization_version", uint32_t{2});
  add_hyperparameters(writer, model.config());
  add_tokenizer(writer, tokenizer, model.config().vocabulary, options.tokenizer_pre);
  writer.set("vernier.version", std::string(VERNIER_VERSION));
  writer.set("vernier.plan", plan.label);
  writer.set("vernier.model_hash", source_hash);
  if (plan.method != Plan().method) writer.set("vernier.method", plan.method);
  writer.set("vernier.recipe", recipe_text(with_file_names(plan, tensors_of(plan, model))));
  if (const auto divisors = rope_divisors(model.config()); !divisors.empty())
    writer.add_tensor("rope_freqs.weight", kGgmlF32, {static_cast<int64_t>(divisors.size())});
  for (const TensorId& id : model.tensors()) {
    const auto scheme = schemes.find(id);
    const auto type = scheme == schemes.end() ? kGgmlF32 : static_cast<uint32_t>(scheme->second.ggml_type());
    if (scheme != schemes.end() && !scheme->second.is_gguf())
      fail(ErrorKind::kInvalidArgument, "export: {}: a GGUF file cannot hold {}; use one of {}", gguf_name(id),
           scheme->second.name(), fmt::join(gguf_scheme_names(), ", "));
    writer.add_tensor(gguf_name(id), type, model.shape(id));
  }
  return writer;
}

int64_t rotated_heads(const ModelConfig& config, TensorRole role) {
  if (!interleaved_rope(config)) return 0;
  if (role == TensorRole::kAttnQ || role == TensorRole::kAttnQBias) return config.heads;
  if (role == TensorRole::kAttnK || role == TensorRole::kAttnKBias) return config.kv_heads;
  return 0;
}

uint64_t file_bytes(const Model& model, const Plan& plan, const TokenizerModel& tokenizer,
                    const ExportOptions& options) {
  return declare(model, plan, tokenizer, options).file_bytes();
}

std::string header_hash(const Model& model, const Plan& plan, const TokenizerModel& tokenizer,
                        const ExportOptions& options) {
  return declare(model, plan, tokenizer, options).header_hash();
}

std::vector<std::string> losses(const Model& model, const TokenizerModel& tokenizer) {
  std::vector<std::string> all = gguf_tokenizer_losses(tokenizer);
  const ModelConfig& config = model.config();
  if (const int64_t context = context_length(config); context < config.context_length)
    all.insert(all.begin(),
               fmt::format("llama.cpp ignores this model's sliding window: context_length is cut from {} to {}, the "
                           "longest text for which both agree",
                           config.context_length, context));
  return all;
}

/// Query and key rows of llama models are reordered to llama.cpp's interleaved rotary layout, norms and biases stay
/// float32. What a GGUF source says about its origin (name, licence, authors) is carried over.
void write(const QuantizedModel& quantized, const TokenizerModel& tokenizer, const std::filesystem::path& path,
           const ExportOptions& options, ProgressSink* progress) {
  const Model& model = quantized.source();
  const ModelConfig& config = model.config();
  const GgufWriter writer = declare(model, quantized.plan(), tokenizer, options, quantized.source_hash());
  const std::vector<float> divisors = rope_divisors(config);
  const std::vector<TensorId> ids = model.tensors();
  if (progress != nullptr) progress->begin("quantize", static_cast<int64_t>(ids.size()), "tensors");
  int64_t done = 0;
  writer.write(path, [&](size_t index, const ByteSink& append) {
    if (!divisors.empty() && index == 0) return append(std::as_bytes(std::span(divisors)));
    const TensorId& id = ids[index - (divisors.empty() ? 0 : 1)];
    // Rows are stored one after the other, so the rotary reordering works on stored bytes as on values.
    at::Tensor rows;
    if (quantized.schemes().contains(id)) {
      const StoredMatrix stored = quantized.stored(id);
      rows = stored.bytes().view({stored.rows(), -1});
    } else {
      rows = quantized.values(id);
    }
    if (const int64_t heads = rotated_heads(config, id.role); heads > 0) rows = to_interleaved_rope(rows, heads);
    append({static_cast<const std::byte*>(rows.data_ptr()), rows.nbytes()});
    model.release_pages();
    if (progress != nullptr) progress->update(++done);
  });
  if (progress != nullptr) progress->end();
}

/// A single file: of one in parts, none is the model.
bool takes_source(const ModelSource& source) { return source.gguf && files_of_model(source.path.string()).size() == 1; }

}  // namespace

Target llama_cpp_target() {
  return {.name = "llama.cpp",
          .about = "a GGUF file",
          .rules = {.target = "llama.cpp",
                    .schemes = {"gguf:q2_k", "gguf:q3_k", "gguf:q4_0", "gguf:q4_k", "gguf:q4_1", "gguf:q5_0",
                                "gguf:q5_k", "gguf:q5_1", "gguf:q6_k", "gguf:q8_0", "f16"},
                    .fixed_scheme = "f32",  // its kernels expect norms and biases so
                    .stacks_experts = true,
                    .alignment_bytes = kGgufAlignment},
          .four_bit_schemes = {"gguf:q4_k", "gguf:q4_0"},
          .output = "model.gguf",
          .tensor_name = gguf_name,
          .context_length = context_length,
          .losses = losses,
          .takes_source = takes_source,
          .file_bytes = file_bytes,
          .counted_bytes = file_bytes,
          .header_hash = header_hash,
          .write = write};
}

}  // namespace vernier
