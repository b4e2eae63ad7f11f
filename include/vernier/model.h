#pragma once

// What is a model here: a stack of blocks on a residual stream, described by data, not by a class per architecture.
// Weights are [out, in] in the type the file stores; loading maps the file and copies nothing, and the blocks of a
// quantized file are decoded where their values are asked for.
//
//   const vernier::Model model = vernier::load_model("models/demo-5m");
//   model.config().layers;                                   // 6
//   model.weight({vernier::TensorRole::kFfnDown, 3});        // [hidden, intermediate], bfloat16
//
// In: a Hugging Face directory or a GGUF file. Out: a Model, the noun every stage starts from.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vernier/component.h"
#include "vernier/scheme.h"
#include "vernier/stored_matrix.h"
#include "vernier/tokenizer.h"

namespace vernier {

/// Rotary position embedding: frequencies theta^(-2i/head_dim), then bent for contexts beyond the trained one.
struct RopeConfig {
  enum class Kind { kDefault, kLinear, kLlama3, kYarn, kFactors };
  Kind kind = Kind::kDefault;
  double theta = 10000;
  double factor = 1;             ///< context extension
  int64_t original_context = 0;  ///< llama3, yarn: the trained context
  double low_freq_factor = 1;    ///< llama3
  double high_freq_factor = 4;   ///< llama3
  double beta_fast = 32;         ///< yarn: rotations at which a frequency is kept
  double beta_slow = 1;          ///< yarn: rotations at which it is interpolated
  bool truncate = true;          ///< yarn: round the ramp's ends to whole dimensions
  std::vector<float> factors;    ///< kFactors: divisor of each pair's frequency [head_dim / 2], as GGUF stores llama3's
  double attention_factor = 1;   ///< yarn: scale of cos and sin, already derived when the file leaves it out
};

struct ModelConfig {
  std::string family;  ///< llama, mistral, qwen2, qwen3
  int64_t vocabulary = 0;
  int64_t hidden = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  int64_t intermediate = 0;
  int64_t context_length = 0;
  double norm_epsilon = 1e-6;
  RopeConfig rope;
  std::vector<int64_t> sliding_window;  ///< per layer; 0: every earlier position is seen
  bool tied_embedding = false;          ///< the output matrix is the embedding
  bool qkv_bias = false;
  bool attn_output_bias = false;
  bool ffn_bias = false;
  bool qk_norm = false;  ///< RMS norm of each query and key head before the rotation
};

/// Where a model came from, for manifests and reports.
struct ModelSource {
  std::filesystem::path path;
  std::string name;  ///< folder or file name
  bool gguf = false;
  std::vector<std::string> warnings = {};  ///< what the user should hear about how the files were read
};

class Model {
 public:
  Model(ModelConfig config, ModelSource source) : config_(std::move(config)), source_(std::move(source)) {}

  const ModelConfig& config() const { return config_; }
  const ModelSource& source() const { return source_; }

  /// The values: a view of what the file stores, or float32 decoded from a quantized matrix; an undefined tensor when
  /// this model has none of that role. @cost decodes a quantized matrix each time
  at::Tensor weight(const TensorId& id) const;
  /// Dimensions without values; empty when this model has none of that role.
  std::vector<int64_t> shape(const TensorId& id) const;
  bool has(const TensorId& id) const { return weights_.contains(id); }
  /// All tensors, ordered by role within layer: the order of exported files.
  std::vector<TensorId> tensors() const;
  /// The 2-D weights, i.e. what quantization is about.
  std::vector<TensorId> matrices() const;
  /// The matrix that makes logits: the output matrix or, when tied, the embedding.
  TensorId output_matrix() const;
  int64_t parameters() const;
  /// Of all tensors as their file holds them: a GGUF file's matrices in their schemes, though their values are decoded.
  uint64_t stored_bytes() const;
  /// Forgets the scheme of what was there before.
  void set_weight(const TensorId& id, at::Tensor weight) { weights_[id] = {std::move(weight), {}, {}}; }

  /// A quantized matrix in its bytes; nullptr for plain values.
  const StoredMatrix* stored(const TensorId& id) const;
  void set_stored(const TensorId& id, StoredMatrix matrix) { weights_[id] = {{}, matrix, matrix.scheme()}; }

  /// The scheme whose decoded values a matrix holds: what a GGUF file stores or quantize() chose. Nothing for weights
  /// that were never quantized.
  std::optional<Scheme> stored_scheme(const TensorId& id) const;
  void set_stored_scheme(const TensorId& id, const Scheme& scheme) { weights_[id].scheme = scheme; }
  /// stored_scheme, or the f32, f16 or bf16 that plain values are.
  Scheme scheme_in_file(const TensorId& id) const;

 private:
  struct Entry {
    at::Tensor plain;                    // defined unless `stored` is there
    std::optional<StoredMatrix> stored;
    std::optional<Scheme> scheme;
  };
  const Entry* find(const TensorId& id) const;

  ModelConfig config_;
  ModelSource source_;
  std::map<TensorId, Entry> weights_;
};

/// Opens a Hugging Face directory (single or sharded safetensors; F32, F16, BF16), a GGUF file, or a name in the local
/// Hugging Face cache. Families: llama, mistral, qwen2, qwen3. A safetensors file stands for its folder.
/// @throws Error{kBadFile} for broken files, {kUnsupported} for other families, pickles, adapters and safetensors that
/// are quantized already, {kInvalidArgument} for files that are no whole model, {kIo} when missing
Model load_model(const std::string& path);

/// The folder or file that `name` means: a path, the folder of a safetensors file, or `owner/name` in the Hugging Face
/// cache. @throws Error{kIo}, and {kInvalidArgument, kUnsupported} for files that are no whole model
std::filesystem::path resolve_model_path(const std::string& name);

/// Every file that `name` stands for and that loading may read: a folder and those in it, or a GGUF file with its other
/// parts.
/// Empty when there is no such model.
std::vector<std::filesystem::path> files_of_model(const std::string& name);

/// The tokenizer that belongs to the model: tokenizer.json beside it, or the one inside the GGUF file.
/// @throws Error{kBadFile, kUnsupported, kIo}
TokenizerModel load_tokenizer_of(const std::filesystem::path& model_path);

/// Content hash of the configuration and all tensors, in hexadecimal. @cost reads every byte once
std::string model_hash(const Model& model);

/// A copy whose tensors are contiguous float32, optionally leaves of the autograd graph.
Model to_float32(const Model& model, bool requires_grad = false);

/// Shape every tensor of this configuration must have; a Model whose tensors differ is refused by the loaders.
std::vector<int64_t> expected_shape(const ModelConfig& config, TensorRole role);
/// The tensors a model of this configuration consists of.
std::vector<TensorId> expected_tensors(const ModelConfig& config);

}  // namespace vernier
