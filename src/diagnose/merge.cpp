#include "diagnose/merge.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "base/statistics.h"

namespace vernier {

void add_part(Diagnosis& diagnosis, DiagnosisPart part) {
  std::move(part.components.begin(), part.components.end(), std::back_inserter(diagnosis.components));
  std::move(part.weight_facts.begin(), part.weight_facts.end(), std::back_inserter(diagnosis.weight_facts));
  diagnosis.control_kl = std::max(diagnosis.control_kl, part.control_kl);
}

void add_spreads(Diagnosis& d) {
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
}

namespace {

struct RankedFact {
  const char* name;
  double WeightFacts::*value;
};
constexpr RankedFact kRankedFacts[] = {{"absmax_over_sigma", &WeightFacts::absmax_over_sigma},
                                       {"excess_kurtosis", &WeightFacts::excess_kurtosis},
                                       {"sqnr_db", &WeightFacts::sqnr_db},
                                       {"weighted_sqnr_db", &WeightFacts::weighted_sqnr_db}};

}  // namespace

void add_summaries(Diagnosis& d) {
  add_spreads(d);
  // Among matrices of layers that were quantized alike: two schemes make two clouds, and every fact that tells the
  // schemes apart would seem to rank.
  std::map<std::string, std::vector<std::pair<const WeightFacts*, double>>> alike;
  for (const WeightFacts& facts : d.weight_facts) {
    const ComponentDamage* damage = d.find(component_of(facts.tensor));
    if (damage != nullptr && facts.tensor.layer >= 0) alike[facts.scheme].emplace_back(&facts, damage->kl.mean);
  }
  std::erase_if(alike, [](const auto& group) { return group.second.size() < 2; });
  for (const RankedFact& fact : kRankedFacts) {
    RankCorrelation correlation{fact.name, 0, 0};
    for (const auto& [scheme, rows] : alike) {
      std::vector<double> values, kl;
      for (const auto& [facts, damage] : rows) {
        values.push_back(facts->*fact.value);
        kl.push_back(damage);
      }
      correlation.spearman += spearman(values, kl) * static_cast<double>(rows.size());
      correlation.count += static_cast<int64_t>(rows.size());
    }
    if (correlation.count == 0) continue;
    correlation.spearman /= static_cast<double>(correlation.count);
    d.rank_correlation.push_back(correlation);
  }
}

void add_joint(Diagnosis& d, const Measured& joint_kl) {
  d.joint_kl = joint_kl;
  d.sum_isolated_kl = 0;
  for (const ComponentDamage& c : d.components) {
    if (is_one_matrix(c.component.kind)) d.sum_isolated_kl += c.kl.mean;
  }
  d.additivity_ratio = d.sum_isolated_kl > 0 ? joint_kl.mean / d.sum_isolated_kl : 0;
}

}  // namespace vernier
