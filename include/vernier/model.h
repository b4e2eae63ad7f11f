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
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "vernier/blueprint.h"
#include "vernier/model_outline.h"
#include "vernier/stored_matrix.h"

namespace vernier {

class Model {
 public:
  Model(ModelConfig config, ModelSource source);

  const ModelConfig& config() const { return config_; }
  /// What each tensor is.
  const Blueprint& blueprint() const { return *blueprint_; }
  const ModelSource& source() const { return source_; }

  /// The values: a view of what the file stores, or float32 decoded from a quantized matrix; an undefined tensor when
  /// this model has none of that role. @cost decodes a quantized matrix each time
  at::Tensor weight(const TensorId& id) const;
  /// Dimensions without values; empty when this model has none of that role.
  std::vector<int64_t> shape(const TensorId& id) const;
  bool has(const TensorId& id) const { return weights_.contains(id); }
  /// All tensors, in the order of exported files.
  std::vector<TensorId> tensors() const;
  /// The 2-D weights, i.e. what quantization is about.
  std::vector<TensorId> matrices() const;
  /// The matrix that makes logits: the output matrix or, when tied, the embedding; the classifier; of a stack without
  /// logits its projection.
  TensorId output_matrix() const;
  int64_t parameters() const;
  /// Of all tensors as their file holds them: a GGUF file's matrices in their schemes, though their values are decoded.
  uint64_t stored_bytes() const;
  /// Forgets the scheme of what was there before.
  void set_weight(const TensorId& id, at::Tensor weight) {
    weights_[id] = {std::move(weight), {}, {}};
    hash_ = std::make_shared<Hash>();
  }

  /// A quantized matrix in its bytes; nullptr for plain values.
  const StoredMatrix* stored(const TensorId& id) const;
  void set_stored(const TensorId& id, StoredMatrix matrix) {
    weights_[id] = {{}, matrix, matrix.scheme()};
    hash_ = std::make_shared<Hash>();
  }

  /// The scheme whose decoded values a matrix holds: what a GGUF file stores or quantize() chose. Nothing for weights
  /// that were never quantized.
  std::optional<Scheme> stored_scheme(const TensorId& id) const;
  void set_stored_scheme(const TensorId& id, const Scheme& scheme) { weights_[id].scheme = scheme; }
  /// stored_scheme, or the f32, f16 or bf16 that plain values are.
  Scheme scheme_in_file(const TensorId& id) const;

  /// Lets the memory of mapped files go until it is read again: what was packed elsewhere need not stay twice.
  void release_pages() const {
    if (release_pages_) release_pages_();
  }
  void on_release_pages(std::function<void()> release) { release_pages_ = std::move(release); }

 private:
  struct Entry {
    at::Tensor plain;  // defined unless `stored` is there
    std::optional<StoredMatrix> stored;
    std::optional<Scheme> scheme;
  };
  /// model_hash(), once somebody has asked; copies share it until their weights differ.
  struct Hash {
    std::once_flag once;
    std::string hex;
  };
  friend std::string model_hash(const Model& model);
  const Entry* find(const TensorId& id) const;

  ModelConfig config_;
  std::shared_ptr<const Blueprint> blueprint_;
  ModelSource source_;
  std::map<TensorId, Entry> weights_;
  std::shared_ptr<Hash> hash_ = std::make_shared<Hash>();
  std::function<void()> release_pages_;
};

/// What outline_model finds, with its values. @throws Error as outline_model
Model load_model(const std::string& path);

/// Content hash of the configuration and all tensors, in hexadecimal. @cost reads every byte the first time; afterwards
/// nothing until set_weight or set_stored (a tensor that is changed in place goes unseen)
std::string model_hash(const Model& model);

/// One of the stacks of a model with several as a model of its own, whose tensors are named without it and are the same
/// memory. @throws Error{kInvalidArgument} where there is no such stack
Model stack_of(const Model& model, Stack stack);

/// A copy whose tensors are contiguous float32, optionally leaves of the autograd graph.
Model to_float32(const Model& model, bool requires_grad = false);

}  // namespace vernier
