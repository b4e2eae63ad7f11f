#pragma once

// One vocabulary for the stored tensors of a model. Strings exist only at the edges.
//
//   const TensorId id{TensorRole::kFfnDown, 3};
//   name_of(id);                        // "L3.ffn_down"
//   parse_tensor("L3.expert2.ffn_up");  // {kFfnUp, layer 3, expert 2}

#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace vernier {

/// In the order in which a forward pass reads them, which is that of exported files.
enum class TensorRole {
  kTokenEmbedding,
  kPositionEmbedding,  ///< [positions, hidden], added to the token's embedding
  kAttnNorm,           ///< before attention
  kAttnNormBias,
  kAttnQ,
  kAttnQBias,
  kAttnQNorm,
  kAttnK,
  kAttnKBias,
  kAttnKNorm,
  kAttnV,
  kAttnVBias,
  kAttnSinks,  ///< [heads]: a score that every query also attends to, without a value
  kAttnOutput,
  kAttnOutputBias,
  kAttnPostNorm,  ///< of what attention adds
  kFfnNorm,       ///< before the feed-forward
  kFfnNormBias,
  kRouter,  ///< [experts, hidden]: scores of the experts
  kFfnGate,
  kFfnGateBias,
  kFfnUp,
  kFfnUpBias,
  kFfnDown,
  kFfnDownBias,
  kSharedGate,  ///< of the expert that every token passes
  kSharedUp,
  kSharedDown,
  kSharedSwitch,  ///< [1, hidden]: how much of the shared expert a token takes
  kFfnPostNorm,   ///< of what the feed-forward adds
  kOutputNorm,
  kOutputNormBias,
  kOutput,
};
inline constexpr int kTensorRoleCount = static_cast<int>(TensorRole::kOutput) + 1;

/// One weight. What a file holds as one tensor may be several: the rows of a fused projection, a stack of experts.
struct TensorId {
  TensorRole role = TensorRole::kTokenEmbedding;
  int layer = -1;   ///< -1 for the embeddings, the output norm and the output matrix
  int expert = -1;  ///< -1 outside of experts
  auto operator<=>(const TensorId&) const = default;
};

/// True for the 2-D weights that quantization is about; norms, biases and position embeddings stay in full precision.
bool is_matrix(TensorRole role);
/// The bias that is added to what a tensor of this role gives, where such a role exists.
std::optional<TensorRole> bias_of(TensorRole role);
/// "attn_q", "ffn_down", "token_embd", "output": the words of GGUF, which engines and papers share.
std::string_view role_name(TensorRole role);
/// "L3.ffn_down", "L3.expert2.ffn_up", "embed", "lm_head", "output_norm".
std::string name_of(const TensorId& id);
/// The inverse of name_of. @throws Error{kInvalidArgument} for a name that no tensor has
TensorId parse_tensor(std::string_view name);
/// "blk.3.ffn_down.weight", "token_embd.weight"; of an expert the stack it lies in, "blk.3.ffn_up_exps.weight".
std::string gguf_name(const TensorId& id);

}  // namespace vernier
