#pragma once

// Isolated damages that another implementation measured on SmolLM2: a golden.json, components by GGUF's names.

#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/json.h"
#include "vernier/diagnose.h"
#include "vernier/measured.h"

namespace vernier {

/// "blk.3.head.5", "blk.3.kv.1", "blk.3.ffn", "blk.3.attn_q.weight", "token_embd.weight"; "" for what it does not have.
inline std::string golden_name(const Component& c) {
  switch (c.kind) {
    case ComponentKind::kHead: return fmt::format("blk.{}.head.{}", c.layer, c.index);
    case ComponentKind::kKvHead: return fmt::format("blk.{}.kv.{}", c.layer, c.index);
    case ComponentKind::kFfn: return fmt::format("blk.{}.ffn", c.layer);
    case ComponentKind::kTensor: return gguf_name({c.role, c.layer, c.expert});
    case ComponentKind::kEmbed: return "token_embd.weight";
    default: return "";
  }
}

/// Those of `components` that it has, in nats per token. @param part "A" or "B", its schemes
inline std::vector<ComponentDamage> golden_damages(const Json& golden, const std::string& part,
                                                   const std::vector<Component>& components) {
  const Json& known = golden.at("3").at(part).at("components");
  std::vector<ComponentDamage> damages;
  for (const Component& c : components) {
    const std::string name = golden_name(c);
    if (!known.contains(name)) continue;
    ComponentDamage damage;
    damage.component = c;
    damage.kl = {known[name].at("kl").get<double>(), known[name].at("se").get<double>()};
    damages.push_back(damage);
  }
  return damages;
}

/// As it is: the other implementation has scored every carriage return of Windows' line ends, which are left out elsewhere.
inline std::string golden_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace vernier
