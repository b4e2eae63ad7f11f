#include "vernier/site.h"

#include <array>

#include "base/fail.h"
#include "model/indexed_name.h"

namespace vernier {

namespace {
constexpr std::array<std::string_view, kSiteCount> kSites = {
    "attn_input",   "attn_output_input", "ffn_input",       "ffn_down_input", "shared_down_input",
    "output_input", "patch_input",       "distilled_input", "residual",       "keys",
    "values",       "first_token_share"};
}  // namespace

std::string name_of(const SiteId& id) {
  return join_name(id.stack, id.layer, id.expert, kSites[static_cast<size_t>(id.site)]);
}

SiteId parse_site(std::string_view name) {
  if (const auto parts = split_name(name))
    for (size_t i = 0; i < kSites.size(); ++i)
      if (kSites[i] == parts->part) return {static_cast<Site>(i), parts->layer, parts->expert, parts->stack};
  fail(ErrorKind::kInvalidArgument, "site \"{}\": expected L<layer>.<site> such as L3.ffn_input, or output_input",
       name);
}

}  // namespace vernier
