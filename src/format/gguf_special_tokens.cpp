#include "format/gguf_special_tokens.h"

#include <algorithm>

namespace vernier {

namespace {

constexpr std::string_view kGgufRoles[] = {"eot",     "eom",     "unknown", "seperator", "padding", "cls",
                                           "mask",    "prefix",  "suffix",  "middle",    "fim_pre", "fim_suf",
                                           "fim_mid", "fim_pad", "fim_rep", "fim_sep"};

}  // namespace

std::span<const std::string_view> gguf_roles() { return kGgufRoles; }

std::string gguf_role_key(std::string_view role) { return "tokenizer.ggml." + std::string(role) + "_token_id"; }

PlacedTokens place_special_tokens(const TokenizerModel& model) {
  PlacedTokens placed{model.special_ids, {}};
  const auto has = [&](const char* role, int32_t id) {
    const auto found = placed.ids.find(role);
    return found != placed.ids.end() && found->second == id;
  };
  for (const int32_t id : model.end_ids) {
    if (id == model.eos_id || has("eot", id) || has("eom", id)) continue;
    const bool control = std::any_of(model.added.begin(), model.added.end(),
                                     [&](const AddedToken& token) { return token.id == id && token.special; });
    const bool ends_message = model.tokens[static_cast<size_t>(id)].find("eom") != std::string::npos;
    const char* first = ends_message ? "eom" : "eot";
    const char* second = ends_message ? "eot" : "eom";
    if (!control || (!placed.ids.try_emplace(first, id).second && !placed.ids.try_emplace(second, id).second))
      placed.without_a_role.push_back(id);
  }
  return placed;
}

}  // namespace vernier
