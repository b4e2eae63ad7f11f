#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/fail.h"
#include "format/carried_metadata.h"
#include "format/gguf_tokenizer.h"
#include "format/gguf_value.h"
#include "format/gguf_writer.h"
#include "model/loaders.h"
#include "model/rope_order.h"
#include "ops/rope.h"
#include "vernier/export.h"
#include "vernier/version.h"

namespace vernier {

namespace {

bool interleaved_rope(const ModelConfig& config) { return config.family == "llama" || config.family == "mistral"; }

std::string architecture(const ModelConfig& config) { return interleaved_rope(config) ? "llama" : config.family; }

/// general.file_type is one number for a whole file; a mix is named after the type most bytes have.
uint32_t file_type(const Plan& plan) {
  std::map<std::string, uint64_t> bytes;
  for (const PlanEntry& entry : plan.entries) bytes[entry.scheme] += entry.bytes;
  const auto most =
      std::max_element(bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  const auto numbers = most == bytes.end() ? std::nullopt : Scheme::parse(most->first).gguf();
  return numbers ? numbers->file_type : 0;
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
  u32("context_length", gguf_context_length(c));
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
        "would give other answers; `vernier quantize` writes a Hugging Face directory",
        c.rope.beta_fast, c.rope.beta_slow, c.rope.truncate, standard.beta_fast, standard.beta_slow, architecture(c));
  if (c.family == "qwen3" && c.attn_output_bias)
    fail(ErrorKind::kUnsupported,
         "export: {}: llama.cpp's qwen3 has no bias there and refuses the file; `vernier quantize` writes a Hugging "
         "Face directory",
         gguf_name({TensorRole::kAttnOutputBias, 0}));
  if (!rope_divisors(c).empty() && architecture(c) != "llama")
    fail(ErrorKind::kUnsupported,
         "export: rotary frequencies bent as Llama 3's: llama.cpp's code for {} has no place for them and refuses the "
         "file; `vernier quantize` writes a Hugging Face directory",
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
  writer.set("vernier.recipe", recipe_text(plan));
  if (const auto divisors = rope_divisors(model.config()); !divisors.empty())
    writer.add_tensor("rope_freqs.weight", kGgmlF32, {static_cast<int64_t>(divisors.size())});
  for (const TensorId& id : model.tensors()) {
    const auto scheme = schemes.find(id);
    const auto numbers = scheme == schemes.end() ? Scheme().gguf() : scheme->second.gguf();
    if (!numbers)
      fail(ErrorKind::kInvalidArgument, "export: {}: a GGUF file cannot hold {}; use one of {}", gguf_name(id),
           scheme->second.name(), fmt::join(gguf_scheme_names(), ", "));
    writer.add_tensor(gguf_name(id), numbers->type, model.shape(id));
  }
  return writer;
}

int64_t rotated_heads(const ModelConfig& config, TensorRole role) {
  if (!interleaved_rope(config)) return 0;
  if (role == TensorRole::kAttnQ || role == TensorRole::kAttnQBias) return config.heads;
  if (role == TensorRole::kAttnK || role == TensorRole::kAttnKBias) return config.kv_heads;
  return 0;
}

}  // namespace

int64_t gguf_context_length(const ModelConfig& config) {
  int64_t context = config.context_length;
  for (const int64_t window : config.sliding_window)
    if (window > 0) context = std::min(context, window);
  return context;
}

uint64_t gguf_file_bytes(const Model& model, const Plan& plan, const TokenizerModel& tokenizer,
                         const ExportOptions& options) {
  return declare(model, plan, tokenizer, options).file_bytes();
}

std::string gguf_header_hash(const Model& model, const Plan& plan, const TokenizerModel& tokenizer,
                             const ExportOptions& options) {
  return declare(model, plan, tokenizer, options).header_hash();
}

void export_gguf(const QuantizedModel& quantized, const TokenizerModel& tokenizer, const std::filesystem::path& path,
                 const ExportOptions& options, ProgressSink* progress) {
  const Model& model = quantized.model;
  const ModelConfig& config = model.config();
  const GgufWriter writer = declare(model, quantized.plan, tokenizer, options, quantized.source_hash);
  if (gguf_context_length(config) < config.context_length && progress != nullptr)
    progress->warn(
        fmt::format("llama.cpp ignores this model's sliding window: context_length is cut from {} to {}, the "
                    "longest text for which both agree",
                    config.context_length, gguf_context_length(config)));
  if (progress != nullptr)
    for (const std::string& loss : gguf_tokenizer_losses(tokenizer)) progress->warn(loss);
  const std::vector<float> divisors = rope_divisors(config);
  const std::vector<TensorId> ids = model.tensors();
  writer.write(path, [&](size_t index, const ByteSink& append) {
    if (!divisors.empty() && index == 0) return append(std::as_bytes(std::span(divisors)));
    const TensorId& id = ids[index - (divisors.empty() ? 0 : 1)];
    // Rows are stored one after the other, so the rotary reordering works on stored bytes as on values.
    const StoredMatrix* stored = model.stored(id);
    at::Tensor rows =
        stored != nullptr ? stored->bytes().view({stored->rows(), -1}) : model.weight(id).to(at::kFloat).contiguous();
    if (const int64_t heads = rotated_heads(config, id.role); heads > 0) rows = to_interleaved_rope(rows, heads);
    append({static_cast<const std::byte*>(rows.data_ptr()), rows.nbytes()});
  });
}

}  // namespace vernier
