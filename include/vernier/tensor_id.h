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

#include "vernier/stack.h"

namespace vernier {

/// In the order in which a forward pass reads them, which is that of exported files.
enum class TensorRole {
  kTokenEmbedding,
  kPatchEmbedding,  ///< [hidden, channels * patch * patch]: what a square of pixels becomes
  kPatchEmbeddingBias,
  kClassToken,         ///< [hidden]: the first row of an image's stream
  kDistillationToken,  ///< [hidden]: the second, where there is one
  kPositionEmbedding,  ///< [positions, hidden], added to the token's embedding
  kInputNorm,          ///< of the embeddings, before the first layer
  kInputNormBias,
  kAttnNorm,  ///< before attention
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
  kClassifier,  ///< [classes, hidden]
  kClassifierBias,
  kDistillationClassifier,  ///< the same of the distillation token; the answer is the mean of both
  kDistillationClassifierBias,
  kProjection,  ///< [width, hidden]: into the space that images and texts share
  kLogitScale,  ///< [1]: logarithm of what cosines are multiplied by
};
inline constexpr int kTensorRoleCount = static_cast<int>(TensorRole::kLogitScale) + 1;

/// One weight. What a file holds as one tensor may be several: the rows of a fused projection, a stack of experts.
struct TensorId {
  TensorRole role = TensorRole::kTokenEmbedding;
  int layer = -1;   ///< within its stack; -1 for what stands before and after the layers
  int expert = -1;  ///< -1 outside of experts
  Stack stack = Stack::kOnly;
  auto operator<=>(const TensorId&) const = default;
};

/// True for the 2-D weights that quantization is about; norms, biases and position embeddings stay in full precision.
bool is_matrix(TensorRole role);
/// The bias that is added to what a tensor of this role gives, where such a role exists.
std::optional<TensorRole> bias_of(TensorRole role);
/// "attn_q", "ffn_down", "token_embd", "output": the words of GGUF, which engines and papers share.
std::string_view role_name(TensorRole role);
/// "L3.ffn_down", "L3.expert2.ffn_up", "embed", "lm_head", "output_norm", "image.L3.ffn_down", "text.embed".
std::string name_of(const TensorId& id);
/// The inverse of name_of. @throws Error{kInvalidArgument} for a name that no tensor has
TensorId parse_tensor(std::string_view name);
/// "blk.3.ffn_down.weight", "token_embd.weight"; of an expert the stack it lies in, "blk.3.ffn_up_exps.weight"; name_of
/// where llama.cpp has no name.
std::string gguf_name(const TensorId& id);

}  // namespace vernier
