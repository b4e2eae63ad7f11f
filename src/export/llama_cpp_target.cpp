// A GGUF file that llama.cpp loads as it is: tensors in their schemes, tokenizer, chat template, and the recipe with a
// reason per tensor in `vernier.*` metadata, which names tensors as the file does.

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "base/fail.h"
#include "engine/require_finite.h"
#include "export/target_table.h"
#include "format/carried_metadata.h"
#include "format/gguf_tokenizer.h"
#include "format/gguf_value.h"
#include "format/gguf_writer.h"
#include "model/architecture.h"
#include "model/architectures/decoder.h"
#include "model/rope_order.h"
#include "ops/rope.h"
#include "vernier/quantize.h"
#include "vernier/version.h"

namespace vernier {

namespace {

/// The context length, cut to the shortest sliding window where llama.cpp's code for the architecture ignores windows.
int64_t context_length(const ModelConfig& config) {
  int64_t context = config.context_length;
  if (architecture_of(config).gguf_windows) return context;
  for (const LayerConfig& layer : config.layers)
    if (layer.attention.window > 0) context = std::min(context, layer.attention.window);
  return context;
}

std::string architecture(const ModelConfig& config) { return std::string(architecture_of(config).gguf); }

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
  const int64_t head_dim = config.layer(0).attention.head_dim;
  std::vector<float> divisors = rope_frequencies(plain, head_dim);
  const std::vector<float> bent = rope_frequencies(config.rope, head_dim);
  for (size_t i = 0; i < divisors.size(); ++i) divisors[i] /= bent[i];
  return divisors;
}

void add_hyperparameters(GgufWriter& writer, const ModelConfig& c) {
  const std::string arch = architecture(c);
  const auto u32 = [&](const std::string& key, int64_t value) {
    if (value < 0 || value > std::numeric_limits<uint32_t>::max())
      fail(ErrorKind::kUnsupported, "export: {}.{} is {}: a GGUF file holds 0 to {}", arch, key, value,
           std::numeric_limits<uint32_t>::max());
    writer.set(arch + "." + key, static_cast<uint32_t>(value));
  };
  const auto f32 = [&](const std::string& key, double value) {
    const auto stored = static_cast<float>(value);
    if (!std::isfinite(stored) || (value != 0 && stored == 0))
      fail(ErrorKind::kUnsupported, "export: {}.{} is {}: a GGUF file holds it in float32, where it is {}", arch, key,
           value, stored);
    writer.set(arch + "." + key, stored);
  };
  const AttentionConfig& attention = c.layer(0).attention;
  u32("context_length", context_length(c));
  u32("embedding_length", c.hidden);
  u32("block_count", c.depth());
  u32("feed_forward_length", c.layer(0).feed_forward.intermediate);
  u32("attention.head_count", attention.heads);
  u32("attention.head_count_kv", attention.kv_heads);
  u32("attention.key_length", attention.head_dim);
  u32("attention.value_length", attention.head_dim);
  const bool rms = c.output_norm.kind == NormConfig::Kind::kRms;
  f32(rms ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon", c.output_norm.epsilon);
  if (const ExpertsConfig& experts = c.layer(0).feed_forward.experts; experts.count > 0) {
    u32("expert_count", experts.count);
    u32("expert_used_count", experts.used);
    u32("expert_feed_forward_length", c.layer(0).feed_forward.intermediate);
    if (experts.shared_intermediate > 0) u32("expert_shared_feed_forward_length", experts.shared_intermediate);
  }
  if (attention.rotary) {
    u32("rope.dimension_count", attention.head_dim);
    f32("rope.freq_base", c.rope.theta);
  }
  if (attention.soft_cap > 0) f32("attn_logit_softcapping", attention.soft_cap);
  if (c.logit_soft_cap > 0) f32("final_logit_softcapping", c.logit_soft_cap);
  if (c.window_rope) f32("rope.freq_base_swa", c.window_rope->theta);
  if (architecture_of(c).gguf_windows) {
    int64_t window = 0;  // of the layers that have one, all alike: why_not_gguf sees to that
    for (const LayerConfig& layer : c.layers) window = std::max(window, layer.attention.window);
    if (window > 0) u32("attention.sliding_window", window);
  }
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
  if (architecture(c).empty())
    fail(ErrorKind::kUnsupported, "export: llama.cpp knows no {}; --target huggingface writes a directory", c.family);
  const RopeConfig standard;
  if (c.rope.kind == RopeConfig::Kind::kYarn &&
      (c.rope.beta_fast != standard.beta_fast || c.rope.beta_slow != standard.beta_slow || !c.rope.truncate))
    fail(
        ErrorKind::kUnsupported,
        "export: YaRN with beta_fast {}, beta_slow {}, truncate {}: llama.cpp always takes {}, {} and true for {}, and "
        "would give other answers; --target huggingface writes a directory",
        c.rope.beta_fast, c.rope.beta_slow, c.rope.truncate, standard.beta_fast, standard.beta_slow, architecture(c));
  const Architecture& row = architecture_of(c);
  if (const auto reason = row.why_not_gguf == nullptr ? std::nullopt : row.why_not_gguf(c))
    fail(ErrorKind::kUnsupported, "export: {}; --target huggingface writes a directory", *reason);
  if (!rope_divisors(c).empty() && !row.rope_factors)
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
Plan with_file_names(Plan plan, const Model& model) {
  const std::vector<TensorId> ids = tensors_of(plan, model);
  for (size_t i = 0; i < ids.size(); ++i) plan.entries[i].tensor = model.blueprint().at(ids[i]).gguf.name;
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
  writer.set("vernier.recipe", carried_recipe(with_file_names(plan, model)));
  if (const auto divisors = rope_divisors(model.config()); !divisors.empty())
    writer.add_tensor("rope_freqs.weight", kGgmlF32, {static_cast<int64_t>(divisors.size())});
  for (const StoredTensor& tensor : stored_tensors(model.blueprint(), &TensorSpec::gguf)) {
    const auto scheme_of = [&](const TensorSpec* part) {
      const auto scheme = schemes.find(part->id);
      return scheme == schemes.end() ? Scheme() : scheme->second;  // f32
    };
    const Scheme scheme = scheme_of(tensor.parts[0]);
    const auto numbers = scheme.gguf();
    if (!numbers)
      fail(ErrorKind::kInvalidArgument, "export: {}: a GGUF file cannot hold {}; use one of {}", tensor.name,
           scheme.name(), fmt::join(gguf_scheme_names(), ", "));
    for (const TensorSpec* part : tensor.parts)
      if (scheme_of(part) != scheme)
        fail(ErrorKind::kInvalidArgument, "export: {} holds {} in {} and {} in {}; a tensor has one type", tensor.name,
             name_of(tensor.parts[0]->id), scheme.name(), name_of(part->id), scheme_of(part).name());
    writer.add_tensor(tensor.name, numbers->type, tensor.shape);
  }
  return writer;
}

uint64_t gguf_bytes(const Model& model, const Plan& plan, const TokenizerModel& tokenizer,
                    const ExportOptions& options) {
  return declare(model, plan, tokenizer, options).file_bytes();
}

std::string gguf_header_hash(const Model& model, const Plan& plan, const TokenizerModel& tokenizer,
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
void write_gguf(const QuantizedModel& quantized, const TokenizerModel& tokenizer, const std::filesystem::path& path,
                const ExportOptions& options, ProgressSink* progress) {
  const Model& model = quantized.source();
  const GgufWriter writer = declare(model, quantized.plan(), tokenizer, options, quantized.source_hash());
  const std::vector<float> divisors = rope_divisors(model.config());
  const std::vector<StoredTensor> tensors = stored_tensors(model.blueprint(), &TensorSpec::gguf);
  if (progress != nullptr) progress->begin("quantize", static_cast<int64_t>(model.tensors().size()), "tensors");
  int64_t done = 0;
  writer.write(path, [&](size_t index, const ByteSink& append) {
    if (!divisors.empty() && index == 0) return append(std::as_bytes(std::span(divisors)));
    for (const TensorSpec* part : tensors[index - (divisors.empty() ? 0 : 1)].parts) {
      // Rows are stored one after the other, so the rotary reordering works on stored bytes as on values.
      at::Tensor rows;
      if (quantized.schemes().contains(part->id)) {
        const StoredMatrix stored = quantized.stored(part->id);
        rows = stored.bytes().view({stored.rows(), -1});
      } else {
        rows = quantized.values(part->id);
        require_finite(model, part->id, rows);
      }
      if (const int64_t heads = part->gguf.interleaved_heads; heads > 0) rows = to_interleaved_rope(rows, heads);
      append({static_cast<const std::byte*>(rows.data_ptr()), rows.nbytes()});
      model.release_pages();
      if (progress != nullptr) progress->update(++done);
    }
  });
  if (progress != nullptr) progress->end();
}

/// A single file: of one in parts, none is the model.
bool takes_source(const ModelSource& source) { return source.gguf && files_of_model(source.path.string()).size() == 1; }

}  // namespace

Target llama_cpp_target() {
  return {
      .name = "llama.cpp",
      .about = "a GGUF file",
      .rules = {.target = "llama.cpp",
                .schemes = {"gguf:q2_k", "gguf:q3_k", "gguf:q4_0", "gguf:iq4_nl", "gguf:q4_k", "gguf:q4_1", "gguf:q5_0",
                            "gguf:q5_k", "gguf:q5_1", "gguf:q6_k", "gguf:q8_0", "f16"},
                .codebooks = {"gguf:iq2_xxs", "gguf:iq2_xs", "gguf:iq2_s", "gguf:iq3_xxs", "gguf:iq3_s", "gguf:iq4_xs"},
                .fixed_scheme = "f32",  // its kernels expect norms and biases so
                .fixed_roles = {TensorRole::kRouter, TensorRole::kSharedSwitch},
                .one_scheme_per_tensor = true,
                .alignment_bytes = kGgufAlignment},
      .four_bit_schemes = {"gguf:q4_k", "gguf:q4_0"},
      .output = "model.gguf",
      .file = &TensorSpec::gguf,
      .context_length = context_length,
      .losses = losses,
      .takes_source = takes_source,
      .file_bytes = gguf_bytes,
      .counted_bytes = gguf_bytes,
      .header_hash = gguf_header_hash,
      .write = write_gguf};
}

}  // namespace vernier
