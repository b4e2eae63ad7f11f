#pragma once

// A Component is a named set of weight slices that can be quantized while everything else stays in full precision.
//
//   parse_component("L3.head5");                      // its rows of attn_q and its columns of attn_output
//   name_of(Component{ComponentKind::kHead, 3, 5});   // "L3.head5"
//
// A kind is a row of the table in src/model/component.cpp: everything else asks the row.

#include <compare>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "vernier/tensor_id.h"

namespace vernier {

struct ModelConfig;

enum class ComponentKind {
  kHead,    ///< one query head: its rows of attn_q (and bias) and its columns of attn_output
  kKvHead,  ///< one key/value head: its rows of attn_k and attn_v; all query heads that share it feel it
  kFfn,     ///< the feed-forward of a layer, with all its experts and their router
  kExpert,  ///< the matrices of one expert
  kRouter,  ///< the matrix that chooses experts
  kTensor,  ///< one matrix of a layer, the patch embedding, a classifier or a projection
  kLayer,   ///< every matrix of a layer
  kEmbed,   ///< the token embedding; with tied embeddings the output matrix too, since it is the same tensor
  kLmHead,  ///< the output matrix, when it is a tensor of its own
};
inline constexpr int kComponentKindCount = static_cast<int>(ComponentKind::kLmHead) + 1;

struct Component {
  ComponentKind kind = ComponentKind::kTensor;
  int layer = -1;
  int index = 0;                         ///< number of the head or expert within its layer
  TensorRole role = TensorRole::kAttnQ;  ///< for kTensor
  int expert = -1;                       ///< for kTensor: the expert that the matrix belongs to
  Stack stack = Stack::kOnly;
  auto operator<=>(const Component&) const = default;
};

/// "L3.head5", "L3.kv1", "L3.ffn", "L3.expert2", "L3.router", "L3", "embed", "lm_head", or the tensor's name; of a model
/// with several stacks "image.L3.head5".
std::string name_of(const Component& component);
/// @throws Error{kInvalidArgument} with the accepted forms
Component parse_component(std::string_view name);
/// The component that is this one matrix.
Component component_of(const TensorId& matrix);
/// Of kinds that component_of gives: tensor, router, embed and lm_head.
bool is_one_matrix(ComponentKind kind);

/// "head", "kv_head", "ffn", "expert", "router", "tensor", "layer", "embed", "lm_head".
std::string_view kind_name(ComponentKind kind);
/// @throws Error{kInvalidArgument} that lists the kinds
ComponentKind parse_kind(std::string_view name);
std::set<ComponentKind> all_component_kinds();

/// Rows or columns of one matrix.
struct WeightSlice {
  TensorId tensor;
  int64_t first_row = 0, rows = 0;
  int64_t first_col = 0, cols = 0;

  int64_t size() const { return rows * cols; }
  auto operator<=>(const WeightSlice&) const = default;
};

/// The weights of a component; biases, which nothing quantizes, belong to none.
/// @throws Error{kInvalidArgument} for a component that the model does not have
std::vector<WeightSlice> slices_of(const ModelConfig& config, const Component& component);

/// From where a forward pass must run again when the component changes: everything before it stays as it was.
enum class Restart {
  kEmbedding,        ///< the whole model
  kAttention,        ///< the layer
  kAttentionOutput,  ///< the layer's attention output, from the same heads
  kFeedForward,      ///< the layer's feed-forward
  kOutputMatrix,     ///< the logits
};
Restart restart_of(const Component& component);

/// All components of these kinds, in the order they are measured.
std::vector<Component> components_of(const ModelConfig& config, const std::set<ComponentKind>& kinds);

}  // namespace vernier
