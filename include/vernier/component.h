#pragma once

// One vocabulary for the parts of a model. Strings exist only at the edges: a TensorId is one stored tensor, a
// Component a named set of weight slices that can be quantized while everything else stays in full precision.
//
//   parse_component("L3.head5");                      // its rows of attn_q and its columns of attn_output
//   name_of(Component{ComponentKind::kHead, 3, 5});   // "L3.head5"

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vernier {

enum class TensorRole {
  kTokenEmbedding,
  kAttnNorm,
  kAttnQ,
  kAttnQBias,
  kAttnQNorm,
  kAttnK,
  kAttnKBias,
  kAttnKNorm,
  kAttnV,
  kAttnVBias,
  kAttnOutput,
  kAttnOutputBias,
  kFfnNorm,
  kFfnGate,
  kFfnGateBias,
  kFfnUp,
  kFfnUpBias,
  kFfnDown,
  kFfnDownBias,
  kOutputNorm,
  kOutput,
};
inline constexpr int kTensorRoleCount = static_cast<int>(TensorRole::kOutput) + 1;

struct TensorId {
  TensorRole role = TensorRole::kTokenEmbedding;
  int layer = -1;  ///< -1 for the embedding, the output norm and the output matrix
  auto operator<=>(const TensorId&) const = default;
};

/// True for the 2-D weights that quantization applies to; norms and biases stay in full precision.
bool is_matrix(TensorRole role);
/// True for tensors that exist once per layer.
bool is_per_layer(TensorRole role);
/// "attn_q", "ffn_down", "token_embd", "output": the words of GGUF, which engines and papers share.
std::string_view role_name(TensorRole role);
/// "L3.ffn_down", "embed", "lm_head", "output_norm".
std::string name_of(const TensorId& id);
/// "blk.3.ffn_down.weight", "token_embd.weight".
std::string gguf_name(const TensorId& id);
/// The inverse of gguf_name. @throws Error{kInvalidArgument} for a name no role has
TensorId parse_gguf_name(std::string_view name);

enum class ComponentKind {
  kHead,    ///< one query head: its rows of attn_q (and bias) and its columns of attn_output
  kKvHead,  ///< one key/value head: its rows of attn_k and attn_v; all query heads that share it feel it
  kFfn,     ///< ffn_gate, ffn_up and ffn_down of a layer
  kTensor,  ///< one matrix of a layer
  kLayer,   ///< every matrix of a layer
  kEmbed,   ///< the token embedding; with tied embeddings the output matrix too, since it is the same tensor
  kLmHead,  ///< the output matrix, when it is a tensor of its own
};

struct Component {
  ComponentKind kind = ComponentKind::kTensor;
  int layer = -1;
  int index = 0;                         ///< head number within its kind
  TensorRole role = TensorRole::kAttnQ;  ///< for kTensor
  auto operator<=>(const Component&) const = default;
};

std::string name_of(const Component& component);
/// The component that is this one matrix.
Component component_of(const TensorId& matrix);
/// "head", "kv_head", "ffn", "tensor", "layer", "embed", "lm_head".
std::string_view kind_name(ComponentKind kind);
/// @throws Error{kInvalidArgument} with the accepted forms
Component parse_component(std::string_view name);

/// Where activations enter matrices: what calibration watches, and whose mean square says how much a column matters.
enum class Site {
  kAttnInput,        ///< after the attention norm: attn_q, attn_k, attn_v
  kAttnOutputInput,  ///< the heads side by side: attn_output
  kFfnInput,         ///< after the feed-forward norm: ffn_gate, ffn_up
  kFfnDownInput,     ///< the gated hidden state: ffn_down
  kOutputInput,      ///< after the last norm: the output matrix (and, tied, the embedding)
};
inline constexpr int kSiteCount = 5;

struct SiteId {
  Site site = Site::kAttnInput;
  int layer = -1;  ///< -1 for kOutputInput
  auto operator<=>(const SiteId&) const = default;
};

/// "L3.ffn_input", "output_input".
std::string name_of(const SiteId& id);

}  // namespace vernier
