#pragma once

// Where activations enter matrices: what calibration watches, and whose mean square says how much a column matters.
//
//   name_of(SiteId{Site::kFfnInput, 3});  // "L3.ffn_input"

#include <compare>
#include <string>
#include <string_view>

namespace vernier {

enum class Site {
  kAttnInput,        ///< after the attention norm: attn_q, attn_k, attn_v
  kAttnOutputInput,  ///< the heads side by side: attn_output
  kFfnInput,         ///< after the feed-forward norm: ffn_gate, ffn_up, the router; of an expert: the tokens it gets
  kFfnDownInput,     ///< the hidden state: ffn_down
  kSharedDownInput,  ///< the same of the shared expert
  kOutputInput,      ///< after the last norm: the output matrix (and, tied, the embedding)
};
inline constexpr int kSiteCount = 6;

struct SiteId {
  Site site = Site::kAttnInput;
  int layer = -1;  ///< -1 for kOutputInput
  int expert = -1;
  auto operator<=>(const SiteId&) const = default;
};

/// "L3.ffn_input", "L3.expert2.ffn_down_input", "output_input".
std::string name_of(const SiteId& id);
/// The inverse. @throws Error{kInvalidArgument}
SiteId parse_site(std::string_view name);

}  // namespace vernier
