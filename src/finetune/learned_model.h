#pragma once

// All that learns of a model: every tensor as a leaf in float32, matrices behind the rounding of their schemes.

#include <ATen/core/Tensor.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "finetune/adamw.h"
#include "finetune/trained_matrix.h"
#include "vernier/model.h"

namespace vernier {

/// A checkpoint's content of a model: stored bytes of matrices, float32 of everything else, on the CPU.
using KeptWeights = std::map<TensorId, at::Tensor>;

class LearnedModel {
 public:
  struct Options {
    at::Device device = at::kCPU;
    bool learn_scales = false;
    double weight_decay = 0;
  };
  /// `schemes`: of the matrices that are rounded; the others are as they are. `source` must outlive it.
  LearnedModel(const Model& source, const std::map<TensorId, Scheme>& schemes,
               const std::map<TensorId, std::vector<float>>& importances, const Options& options);

  /// Fits the scales of all matrices to their weights of now.
  void fit(int threads);
  /// Scales that learn stay above zero.
  void bound_scales();

  /// The model as it computes now: a forward pass through it is differentiable with respect to parameters().
  Model seen() const;
  /// What learns; names() alike.
  std::vector<AdamWParameter> parameters() const;
  std::vector<std::string> names() const;

  KeptWeights keep() const;
  /// A model of kept weights: matrices in their schemes.
  Model model_of(const KeptWeights& kept) const;

  /// By name: weights, scales as fitted, scales that learn.
  std::map<std::string, at::Tensor> state() const;
  /// @throws Error{kBadFile} naming `origin` where something is missing or of another shape
  void restore(const std::map<std::string, at::Tensor>& state, const std::string& origin);

 private:
  struct Entry {
    TensorId id;
    at::Tensor latent;
    std::optional<TrainedMatrix> matrix;
  };
  const Model& source_;
  Options options_;
  std::vector<Entry> entries_;
};

/// The tensor called `name`, of this shape where one is given. @throws Error{kBadFile} naming `origin`
const at::Tensor& tensor_of(const std::map<std::string, at::Tensor>& tensors, const std::string& name,
                            const std::string& origin);

}  // namespace vernier
