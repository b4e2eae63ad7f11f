#pragma once

// A Model laid out for the fused forward: norms in float32, q/k/v and gate/up stacked, every matrix packed once.
//
//   FusedModel fast(model, ComputeType::kFloat32, /*positions=*/512);
//   parallel_for(windows, threads, [&](int64_t w, int worker) {
//     Slab hidden = fast.hidden(arena[worker], tokens(w), /*first_row=*/256);
//     fast.logits(hidden tile, ...);
//   });

#include <functional>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/rounded_inputs.h"
#include "ops/fused_ops.h"
#include "vernier/model.h"

namespace vernier {

/// Keeps what products of many rows would make of the weights each time (PanelMatrix::keep_sums), in as much memory again.
void keep_sums(FusedBlock& block);
/// A layer on its own, for passes that hold one at a time. `model` must be finite (require_finite).
FusedBlock pack_block(const Model& model, int layer, ComputeType type, const RoundedInputs& inputs = {});

/// `block` on the residual stream of one sequence, float32 [positions, hidden] (or [1, positions, hidden]), which is left
/// as it is; of the model's last layer rows first_row ... only. For passes that hold one layer and many streams.
at::Tensor run_block_on(const FusedBlock& block, const RopeTables& rope, Arena& arena, const at::Tensor& stream,
                        int64_t first_row, const SiteObserver* observer = nullptr, bool watches = false);
/// A copy of `stream` in `arena`, and back: [rows, cols].
Slab to_slab(Arena& arena, const at::Tensor& stream);
at::Tensor to_tensor(const Slab& slab);

/// `base` with the matrices in `changed` replaced: only the products that they are part of are packed anew, the others
/// share the base's memory.
FusedBlock repack(const FusedBlock& base, const Model& model, ComputeType type, const std::set<TensorId>& changed,
                  const WeightSource& weight);

/// A matrix outside of the layers as a product, with the model's bias and `weight` for its values.
StackedLinear pack_outside(const Model& model, const TensorId& id, const at::Tensor& weight, ComputeType type);

class FusedModel {
 public:
  enum class Layers { kPacked, kLeftOut };  ///< left out: for passes that pack one at a time
  /// `positions`: longest sequence it will see. @cost converts and copies all weights
  /// @param beside of the very same model and type: its packed output matrix is this one's, too
  /// @throws Error{kBadFile} naming the tensor when a weight is NaN or infinite
  FusedModel(const Model& model, ComputeType type, int64_t positions, const RoundedInputs& inputs = {},
             Layers layers = Layers::kPacked, const FusedModel* beside = nullptr);

  const std::string& name() const { return name_; }
  const ModelConfig& config() const { return config_; }
  ComputeType type() const { return type_; }
  /// Only where layers are packed.
  const FusedBlock& block(int layer) const { return blocks_[static_cast<size_t>(layer)]; }
  const RopeTables& rope() const { return rope_; }
  const StackedLinear& head() const { return head_; }
  const StackedLinear& distilled_head() const { return distilled_head_; }

  /// Residual stream [T, hidden] of the token embeddings. @throws Error{kInvalidArgument} for ids outside the
  /// vocabulary
  Slab embed(Arena& arena, std::span<const int32_t> tokens) const;
  /// Whether a token's embedding depends on where it stands.
  bool tells_positions_apart() const { return positions_.defined(); }
  /// The same from another embedding matrix [vocabulary, hidden] of any floating type.
  Slab embed_from(const at::Tensor& embedding, Arena& arena, std::span<const int32_t> tokens) const;

  /// Runs layers begin ... end-1 on the stream x [T, hidden] in place of x's memory; the last layer of the model keeps
  /// rows first_row ... only.
  Slab run_layers(FusedOps& ops, Slab x, int begin, int64_t first_row) const;
  /// The output norm, i.e. what the output matrix multiplies. @throws Error{kBadFile} when x overflowed
  Slab output_norm(FusedOps& ops, const Slab& x) const;

  /// All of it: normed final hidden states [T - first_row, hidden], in `arena`.
  Slab hidden(Arena& arena, std::span<const int32_t> tokens, int64_t first_row) const;
  /// Residual stream [rows, hidden] of an image: the patches, then the learned rows. `pixels` [channels, side, side]
  Slab embed_image(FusedOps& ops, std::span<const float> pixels) const { return embed_image_by(patches_, ops, pixels); }
  /// The same by another patch embedding.
  Slab embed_image_by(const StackedLinear& embedding, FusedOps& ops, std::span<const float> pixels) const;
  /// Residual stream of an image, or of a text up to its end. @throws Error{kInvalidArgument} as check_input
  Slab embed_input(FusedOps& ops, const ModelInput& input) const;
  /// Which rows go through the last layer: those that the answer is read from, or all.
  enum class AnswerRows { kRead, kAll };
  /// What a stack that answers for whole inputs makes of one: logits [1, classes], or a unit vector [1, width]. `watches`:
  /// the observer sees keys, values, attention and the residual stream too (is_watched_only in vernier/site.h).
  /// @throws Error{kInvalidArgument} as check_input, {kUnsupported} for other models
  Slab answer(Arena& arena, const ModelInput& input, AnswerRows rows = AnswerRows::kRead,
              const SiteObserver* observer = nullptr, bool watches = false) const;
  /// The same of images, all rows through each product together. @return [images][classes or width]
  std::vector<std::vector<float>> answers(Arena& arena, std::span<const ModelInput> images) const;
  /// The end of it, from the normed answering rows [1 or 2, hidden].
  Slab read_out(FusedOps& ops, const Slab& normed) const { return read_out_by(head_, distilled_head_, ops, normed); }
  /// The same by other output matrices; the second one matters only where the configuration has one.
  Slab read_out_by(const StackedLinear& head, const StackedLinear& distilled_head, FusedOps& ops,
                   const Slab& normed) const;

  /// logits [rows, vocabulary] of normed hidden states
  Slab logits(Arena& arena, const Slab& hidden) const;
  /// The same by another output matrix, into rows that are there.
  void logits_by(const StackedLinear& head, Arena& arena, const Slab& hidden, const Slab& out) const;

 private:
  Slab enter(const Slab& x) const;
  Slab norm_last(FusedOps& ops, const Slab& x) const;
  void add_positions(const Slab& x) const;
  void pack_images(const Model& model, const RoundedInputs& inputs);

  std::string name_;
  ModelConfig config_;
  ComputeType type_;
  RopeTables rope_;
  at::Tensor embedding_;                          // as the file holds it: rows are converted when looked up
  std::optional<StoredMatrix> stored_embedding_;  // the same of a quantized file
  at::Tensor positions_;                          // float32 [positions, hidden], undefined without
  std::vector<FusedBlock> blocks_;
  FusedNorm output_norm_;
  StackedLinear head_, distilled_head_;
  StackedLinear patches_;
  at::Tensor learned_;  // float32 [rows, hidden]: the class token, and that of distillation
  FusedNorm input_norm_;
};

}  // namespace vernier
