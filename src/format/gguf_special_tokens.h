#pragma once

// Tokens with a role in GGUF metadata (`tokenizer.ggml.ROLE_token_id`) beside BOS and EOS.
//
//   for (const auto& [role, id] : place_special_tokens(model).ids) writer.set(gguf_role_key(role), uint32_t(id));

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vernier/tokenizer.h"

namespace vernier {

/// The roles that llama.cpp reads, in its spelling ("seperator").
std::span<const std::string_view> gguf_roles();
std::string gguf_role_key(std::string_view role);

struct PlacedTokens {
  std::map<std::string, int32_t> ids;   ///< by role
  std::vector<int32_t> without_a_role;  ///< of end_ids
};
/// special_ids, and end_ids as end of turn and end of message: beside EOS those are the two at which llama.cpp stops, and
/// only at control tokens.
PlacedTokens place_special_tokens(const TokenizerModel& model);

}  // namespace vernier
