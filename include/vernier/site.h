#pragma once

// Where activations enter matrices: what calibration watches, and whose mean square says how much a column matters. And
// what else is worth a look on their way.
//
//   name_of(SiteId{Site::kFfnInput, 3});  // "L3.ffn_input"

#include <compare>
#include <string>
#include <string_view>

#include "vernier/stack.h"

namespace vernier {

enum class Site {
  kAttnInput,        ///< after the attention norm: attn_q, attn_k, attn_v
  kAttnOutputInput,  ///< the heads side by side: attn_output
  kFfnInput,         ///< after the feed-forward norm: ffn_gate, ffn_up, the router; of an expert: the tokens it gets
  kFfnDownInput,     ///< the hidden state: ffn_down
  kSharedDownInput,  ///< the same of the shared expert
  kOutputInput,  ///< after the last norm: the output matrix (and, tied, the embedding), the classifier, the projection
  kPatchInput,   ///< squares of pixels: the patch embedding
  kDistilledInput,  ///< after the last norm, of the distillation token: its classifier
  // Inputs of no matrix:
  kResidual,         ///< the stream after the layer; without a layer: the embeddings
  kKeys,             ///< as the attention cache holds them: after the rotation by their position
  kValues,           ///< the same
  kFirstTokenShare,  ///< what share of a head's attention lies on the first token, a channel per query head
};
inline constexpr int kSiteCount = 12;

/// Whether it is looked at only by those that ask for it: calibration watches the inputs of matrices.
constexpr bool is_watched_only(Site site) { return site >= Site::kResidual; }

struct SiteId {
  Site site = Site::kAttnInput;
  int layer = -1;  ///< -1 for what is before and after the layers
  int expert = -1;
  Stack stack = Stack::kOnly;
  auto operator<=>(const SiteId&) const = default;
};

/// "L3.ffn_input", "L3.expert2.ffn_down_input", "output_input", "image.L3.ffn_input".
std::string name_of(const SiteId& id);
/// The inverse. @throws Error{kInvalidArgument}
SiteId parse_site(std::string_view name);

}  // namespace vernier
