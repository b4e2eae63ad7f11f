#include "base/fail.h"
#include "vernier/damage_table.h"

namespace vernier {

DamageTable after_search(DamageTable table, const SearchEffect& effect) {
  if (table.model_hash != effect.model_hash)
    fail(ErrorKind::kInvalidArgument, "plan: the search was of another model (hash {}, expected {})", effect.model_hash,
         table.model_hash);
  if (!table.method.empty())
    fail(ErrorKind::kInvalidArgument, "plan: the damage is of values that {} searched already", table.method);
  table.method = effect.method;
  for (const auto& [id, left] : effect.left)
    if (table.kl.contains(id)) table.left[id] = left;
  const auto scale = [&](std::map<TensorId, std::map<std::string, double>>& matrices) {
    for (auto& [id, damages] : matrices) {
      const auto left = table.left.find(id);
      if (left == table.left.end()) continue;
      for (auto& [scheme, kl] : damages) kl *= left->second;
    }
  };
  scale(table.kl);
  for (GroupDamageTable& group : table.groups) scale(group.kl);
  return table;
}

}  // namespace vernier
