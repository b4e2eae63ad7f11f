#include "vernier/damage_table.h"

#include <algorithm>

#include "base/fail.h"
#include "planning/unreached_experts.h"

namespace vernier {

namespace {

std::map<std::string, double> carried_over(const WeightFacts& facts, double measured_kl) {
  std::map<std::string, double> kl;
  const double measured = facts.error_power.at(facts.scheme);
  for (const auto& [scheme, power] : facts.error_power) {
    if (power == 0)
      kl[scheme] = 0;
    else if (measured > 0)
      kl[scheme] = measured_kl * power / measured;
  }
  return kl;
}

}  // namespace

DamageTable damage_table(const Model& model, const Diagnosis& diagnosis) {
  DamageTable table;
  table.model_hash = diagnosis.model_hash;
  if (const std::string hash = model_hash(model); diagnosis.model_hash != hash)
    fail(ErrorKind::kInvalidArgument, "plan: the diagnosis is of another model (hash {}, expected {}); diagnose {}",
         diagnosis.model_hash, hash, model.source().name);
  for (const DiagnosedGroup& group : diagnosis.groups) table.groups.push_back({group.name, group.tokens, {}});
  for (const TensorId& id : model.matrices()) {
    const ComponentDamage* damage = diagnosis.find(component_of(id));
    const auto facts = std::find_if(diagnosis.weight_facts.begin(), diagnosis.weight_facts.end(),
                                    [&](const WeightFacts& f) { return f.tensor == id; });
    if (damage == nullptr || facts == diagnosis.weight_facts.end())
      fail(ErrorKind::kInvalidArgument,
           "plan: the diagnosis has no isolated damage of {}; diagnose with --kinds tensor,embed,lm_head", name_of(id));
    table.kl[id] = carried_over(*facts, damage->kl.mean);
    for (GroupDamageTable& group : table.groups) {
      const auto own = damage->groups.find(group.name);
      if (own == damage->groups.end())
        fail(ErrorKind::kInvalidArgument, "plan: the diagnosis has no damage of {} to group {}; diagnose again",
             name_of(id), group.name);
      group.kl[id] = carried_over(*facts, std::max(own->second.kl.mean, 0.0));
    }
  }
  table.provenance = {{"model_hash", diagnosis.model_hash},
                      {"diagnosis_data_hash", diagnosis.data_hash},
                      {"calibration_hash", diagnosis.calibration_hash}};
  fill_in_unreached(table);
  return table;
}

}  // namespace vernier
