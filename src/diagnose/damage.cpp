#include "diagnose/damage.h"

#include <map>
#include <numeric>

#include "base/statistics.h"

namespace vernier {

Damage summarize(std::span<const int64_t> clusters, const std::vector<DamageSums>& windows) {
  std::vector<size_t> all(windows.size());
  std::iota(all.begin(), all.end(), size_t{0});
  return summarize(clusters, windows, all);
}

Damage summarize(std::span<const int64_t> clusters, const std::vector<DamageSums>& windows,
                 const std::vector<size_t>& chosen) {
  std::vector<double> tokens, kl, delta_nll, same_top;  // per distinct cluster
  std::map<int64_t, size_t> row_of;
  for (const size_t w : chosen) {
    const auto [it, is_new] = row_of.try_emplace(clusters[w], tokens.size());
    if (is_new)
      for (auto* column : {&tokens, &kl, &delta_nll, &same_top}) column->push_back(0);
    tokens[it->second] += windows[w].tokens;
    kl[it->second] += windows[w].kl;
    delta_nll[it->second] += windows[w].delta_nll;
    same_top[it->second] += windows[w].same_top;
  }
  const auto measured = [&](const std::vector<double>& sums) { return ratio_estimate(sums, tokens); };
  return {measured(kl), measured(delta_nll), measured(same_top)};
}

ComponentDamage component_damage(const Model& model, const Component& component, std::span<const int64_t> clusters,
                                 const std::vector<DamageSums>& windows) {
  int64_t parameters = 0;
  for (const WeightSlice& slice : slices_of(model.config(), component)) parameters += slice.size();
  const Damage damage = summarize(clusters, windows);
  return {component, parameters, damage.kl, damage.delta_nll, damage.same_top};
}

}  // namespace vernier
