#include <algorithm>

#include "base/fail.h"
#include "planning/unreached_experts.h"
#include "vernier/damage_table.h"
#include "vernier/screen.h"

namespace vernier {

std::string_view objective_name(DomainObjective objective) {
  return objective == DomainObjective::kWorst ? "worst" : "mean";
}

DomainObjective parse_objective(std::string_view name) {
  for (const DomainObjective objective : {DomainObjective::kMean, DomainObjective::kWorst})
    if (objective_name(objective) == name) return objective;
  fail(ErrorKind::kInvalidArgument, "plan: objective over domains \"{}\", expected mean or worst", name);
}

DamageTable damage_table(const Model& model, const Screen& screen, DomainObjective objective) {
  DamageTable table;
  table.model_hash = screen.model_hash;
  if (const std::string hash = model_hash(model); screen.model_hash != hash)
    fail(ErrorKind::kInvalidArgument, "plan: the screen is of another model (hash {}, expected {}); screen {}",
         screen.model_hash, hash, model.source().name);
  const size_t domains = screen.domains.size();
  if (domains > 1)
    for (const ScreenedDomain& domain : screen.domains) table.groups.push_back({domain.name, domain.tokens, {}});
  for (const ScreenedMatrix& matrix : screen.matrices) {
    std::map<std::string, double>& kl = table.kl[matrix.tensor];
    for (size_t s = 0; s < screen.schemes.size(); ++s) {
      double& value = kl[matrix.errors[s].scheme];
      value = 0;
      for (GroupDamageTable& group : table.groups) group.kl[matrix.tensor][matrix.errors[s].scheme] = 0;
      if (matrix.errors[s].kept) continue;
      for (size_t d = 0; d < domains; ++d) {
        const double one = screen.at(component_of(matrix.tensor), screen.schemes[s], "predicted_kl", d).mean;
        if (domains > 1) table.groups[d].kl[matrix.tensor][matrix.errors[s].scheme] = std::max(one, 0.0);
        value =
            objective == DomainObjective::kWorst ? std::max(value, one) : value + one / static_cast<double>(domains);
      }
      value = std::max(value, 0.0);
    }
  }
  for (const TensorId& id : model.matrices())
    if (!table.kl.contains(id))
      fail(ErrorKind::kInvalidArgument, "plan: the screen left {} out; screen with --kinds tensor,embed,lm_head",
           name_of(id));
  table.provenance = {{"model_hash", screen.model_hash}, {"calibration_hash", screen.calibration_hash}};
  for (const ScreenedDomain& domain : screen.domains)
    table.provenance["screened"].push_back({{"domain", domain.name}, {"data_hash", domain.data_hash}});
  fill_in_unreached(table);
  return table;
}

}  // namespace vernier
