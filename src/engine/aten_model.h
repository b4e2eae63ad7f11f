#pragma once

// A model in plain ATen on any device: the differentiable forward, from which gradients and Hessian-vector products come,
// and the reference that the fused forward is tested against.

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <vector>

#include "engine/rounded_inputs.h"
#include "ops/aten_ops.h"
#include "vernier/model.h"

namespace vernier {

class AtenModel {
 public:
  /// Where and in what type it is computed.
  struct Place {
    at::Device device = at::kCPU;
    at::ScalarType type = at::kFloat;
    bool layer_by_layer = false;  ///< each layer is copied when it is run, so that never more than one is there
    RoundedInputs inputs = {};
    /// Nothing is copied: differentiable with respect to the model's own tensors, which are there in that type already.
    bool own_tensors = false;
    /// Attention by the tensor library's own kernel, in bfloat16, where it has one; with `once` also what gpu_ops.h does in
    /// one pass, whose results in bfloat16 are for products under autocast (ops/mixed_arithmetic.h).
    bool kernel_attention = false;
    bool once = false;  ///< no second derivative is asked for: norms by the tensor library's own kernels
    /// Products by packed matrices that multiply in this type, on the CPU and with `type` kFloat: differentiable once, and
    /// by the input alone. Weights are constants; no rounding of sites.
    std::optional<ComputeType> packed = {};
    const AtenModel* angles = nullptr;  ///< of the same configuration: what depends on positions alone is not made anew
  };
  /// The model's own tensors: differentiable with respect to every weight that requires a gradient, in their type, on
  /// their device. `positions`: of the longest sequence.
  AtenModel(const Model& model, int64_t positions);
  /// Copies. The model must outlive this where they are made layer by layer. @cost all weights, otherwise
  AtenModel(const Model& model, int64_t positions, const Place& place);

  const ModelConfig& config() const { return config_; }
  const std::string& name() const { return name_; }
  AtenBlock block(int layer) const;
  const AtenStack& head() const { return head_; }
  const AtenStack& distilled_head() const { return distilled_head_; }
  const AtenStack& patches() const { return patches_; }

  /// [vocabulary, hidden]; layer by layer of the file's type, as head() is.
  const at::Tensor& embedding() const { return embedding_; }
  /// ids [batch, time] int64 on the model's device -> residual stream [batch, time, hidden]
  at::Tensor embed(const at::Tensor& ids) const { return embed_from(embedding_, ids); }
  /// The same from another embedding matrix, of tokens at the positions `first` ...
  /// @throws Error{kInvalidArgument} for more tokens than the model has positions
  at::Tensor embed_from(const at::Tensor& embedding, const at::Tensor& ids, int64_t first = 0) const;
  /// pixels [batch, channels, side, side] -> residual stream [batch, rows, hidden]: the patches, then the learned rows.
  /// `seen_patches`: int64 [batch, some], on the model's device, the only ones there are of each image; undefined: all.
  /// @throws Error{kInvalidArgument} for images of another size
  at::Tensor embed_images(const AtenOps& ops, const at::Tensor& pixels, const at::Tensor& seen_patches = {}) const {
    return embed_images_by(patches_, ops, pixels, seen_patches);
  }
  /// The same by another patch embedding.
  at::Tensor embed_images_by(const AtenStack& embedding, const AtenOps& ops, const at::Tensor& pixels,
                             const at::Tensor& seen_patches = {}) const;
  AtenOps ops(int64_t time, const AtenObserver* observer = nullptr, bool watches = false) const;
  /// On `fresh` tokens behind `past` others.
  AtenOps ops_after(int64_t past, int64_t fresh) const;
  /// Layers `begin` ... on the stream x, whose last one keeps rows first_row ... only; then the output norm.
  at::Tensor finish(const AtenOps& ops, at::Tensor x, int begin, int64_t first_row) const;
  /// Logits of normed hidden states by an output matrix, in the type of the weights.
  at::Tensor logits_by(const AtenStack& head, const at::Tensor& hidden) const;
  /// What a stack that answers for whole inputs makes of its normed states [batch, time, hidden], `rows` [batch] int64
  /// being where each answers: logits [batch, classes], or unit vectors [batch, width].
  at::Tensor read_out(const AtenOps& ops, const at::Tensor& hidden, const at::Tensor& rows) const {
    return read_out_by(head_, distilled_head_, ops, hidden, rows);
  }
  /// The same by other output matrices; the second one matters only where the configuration has one.
  at::Tensor read_out_by(const AtenStack& head, const AtenStack& distilled_head, const AtenOps& ops,
                         const at::Tensor& hidden, const at::Tensor& rows) const;

 private:
  AtenOps ops_at(int64_t first, int64_t time, const AtenObserver* observer, bool watches) const;
  at::Tensor moved(const at::Tensor& t) const;
  at::Tensor weight(const TensorId& id) const { return moved(model_->weight(id)); }
  at::Tensor bias(const TensorId& id) const;
  AtenLinear linear_of(const TensorId& id, const at::Tensor& weight) const;
  void pack(AtenBlock& block) const;
  AtenNorm norm(const TensorId& id, const NormConfig& config) const;
  AtenBlock make_block(int layer) const;
  void fill(int64_t positions);
  void fill_images();

  const Model* model_;  // read again only layer by layer
  std::optional<Place> place_;
  std::string name_;
  ModelConfig config_;
  at::Tensor embedding_, positions_;
  AtenAngles angles_, windowed_;
  std::vector<AtenBlock> blocks_;
  AtenNorm output_norm_;
  AtenStack head_, distilled_head_;
  AtenStack patches_;
  at::Tensor learned_;  // [rows, hidden]: the class token, and that of distillation
  AtenNorm input_norm_;
};

/// @throws Error{kInvalidArgument} unless ids are [batch, time > first_row] of the model's vocabulary
void check_ids(const Model& model, const at::Tensor& ids, int64_t first_row);

/// ids [batch, time] int64 -> logits [batch, time - first_row, vocabulary], in the type of the model's weights.
/// Differentiable with respect to every weight that requires a gradient; on the device of the weights.
/// @throws Error{kInvalidArgument} for ids outside the vocabulary
at::Tensor forward_logits(const Model& model, const at::Tensor& ids, int64_t first_row = 0);
/// The same in another type or place.
at::Tensor forward_logits(const Model& model, const at::Tensor& ids, int64_t first_row, const AtenModel::Place& place);

/// Mean negative log-likelihood of ids[:, 1:] in nats per token.
at::Tensor language_model_loss(const Model& model, const at::Tensor& ids);

}  // namespace vernier
