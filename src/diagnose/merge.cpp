#include "diagnose/merge.h"

#include <algorithm>
#include <iterator>

#include "base/statistics.h"

namespace vernier {

void add_part(Diagnosis& diagnosis, DiagnosisPart part) {
  std::move(part.components.begin(), part.components.end(), std::back_inserter(diagnosis.components));
  std::move(part.weight_facts.begin(), part.weight_facts.end(), std::back_inserter(diagnosis.weight_facts));
  diagnosis.control_kl = std::max(diagnosis.control_kl, part.control_kl);
}

void add_summaries(Diagnosis& d) {
  for (const ComponentKind kind : all_component_kinds()) {
    if (kind == ComponentKind::kEmbed || kind == ComponentKind::kLmHead) continue;  // one of each
    std::vector<double> kl;
    for (const ComponentDamage& c : d.components)
      if (c.component.kind == kind) kl.push_back(c.kl.mean);
    if (kl.empty()) continue;
    const Spread s = spread_of(kl);
    d.differential_bias.push_back(
        {kind, s.count, s.min, s.max, s.range(), s.mean, s.standard_deviation, s.coefficient_of_variation()});
  }
  std::vector<double> kl, absmax, kurtosis, sqnr, weighted;
  for (const WeightFacts& facts : d.weight_facts) {
    const ComponentDamage* damage = d.find(component_of(facts.tensor));
    if (damage == nullptr || facts.tensor.layer < 0) continue;  // matrices of layers, which are alike
    kl.push_back(damage->kl.mean);
    absmax.push_back(facts.absmax_over_sigma);
    kurtosis.push_back(facts.excess_kurtosis);
    sqnr.push_back(facts.sqnr_db);
    weighted.push_back(facts.weighted_sqnr_db);
  }
  const auto count = static_cast<int64_t>(kl.size());
  if (count > 1)
    d.rank_correlation = {{"absmax_over_sigma", spearman(absmax, kl), count},
                          {"excess_kurtosis", spearman(kurtosis, kl), count},
                          {"sqnr_db", spearman(sqnr, kl), count},
                          {"weighted_sqnr_db", spearman(weighted, kl), count}};
}

void add_joint(Diagnosis& d, const Measured& joint_kl) {
  d.joint_kl = joint_kl;
  d.sum_isolated_kl = 0;
  for (const ComponentDamage& c : d.components) {
    const ComponentKind kind = c.component.kind;
    const bool whole_tensor =
        kind == ComponentKind::kTensor || kind == ComponentKind::kEmbed || kind == ComponentKind::kLmHead;
    if (whole_tensor) d.sum_isolated_kl += c.kl.mean;
  }
  d.additivity_ratio = d.sum_isolated_kl > 0 ? joint_kl.mean / d.sum_isolated_kl : 0;
}

}  // namespace vernier
