#include "planning/tensor_damages.h"

#include "base/fail.h"

namespace vernier {

std::vector<TensorDamage> shapes_of(const Model& model, const Target& target) {
  std::vector<TensorDamage> tensors;
  for (const TensorId& id : model.matrices()) {
    const std::vector<int64_t> shape = model.shape(id);
    tensors.push_back({name_of(id),
                       id.role,
                       id.layer,
                       shape[0],
                       shape[1],
                       {},
                       model.scheme_in_file(id).name(),
                       id.expert,
                       (model.blueprint().at(id).*target.file).name});
  }
  return tensors;
}

std::vector<TensorDamage> tensor_damages(const Model& model, const DamageTable& table, const Target& target) {
  if (const std::string hash = model_hash(model); table.model_hash != hash)
    fail(ErrorKind::kInvalidArgument, "plan: the damage is of another model (hash {}, expected {}); diagnose {}",
         table.model_hash, hash, model.source().name);
  std::vector<TensorDamage> tensors = shapes_of(model, target);
  const std::vector<TensorId> matrices = model.matrices();
  for (size_t i = 0; i < tensors.size(); ++i) {
    const auto known = table.kl.find(matrices[i]);
    if (known == table.kl.end())
      fail(ErrorKind::kInvalidArgument, "plan: nothing is known of the damage of {}", name_of(matrices[i]));
    tensors[i].kl = known->second;
    for (const GroupDamageTable& group : table.groups) tensors[i].group_kl.push_back(group.kl.at(matrices[i]));
  }
  return tensors;
}

}  // namespace vernier
