#include "screen/scales.h"

#include <cmath>
#include <functional>
#include <numeric>

#include "base/statistics.h"

namespace vernier {

namespace {

// How far a model's true ratio lies from 1 (0.97 to 1.25 were seen), and a kind's from that of all matrices.
constexpr double kSpreadOfModels = 0.25, kSpreadOfKinds = 0.1;

/// Each scheme counts alike: coarse ones would otherwise speak for all.
Measured ratio_over(const std::vector<Component>& components, size_t schemes, const SumsOfComponent& sums,
                    const std::function<bool(ComponentKind)>& inside) {
  std::vector<double> directional, diagonal;  // per cluster
  for (size_t s = 0; s < schemes; ++s) {
    std::vector<double> own_directional, own_diagonal;
    for (size_t c = 0; c < components.size(); ++c) {
      if (!inside(components[c].kind)) continue;
      const ComponentSums own = sums(c, s);
      own_directional.resize(own.tokens.size());
      own_diagonal.resize(own.tokens.size());
      for (size_t n = 0; n < own.tokens.size(); ++n) {
        own_directional[n] += own.directional[n];
        own_diagonal[n] += own.diagonal[n];
      }
    }
    const double total = std::accumulate(own_diagonal.begin(), own_diagonal.end(), 0.0);
    if (total <= 0) continue;
    directional.resize(own_directional.size());
    diagonal.resize(own_diagonal.size());
    for (size_t n = 0; n < own_diagonal.size(); ++n) {
      directional[n] += own_directional[n] / total;
      diagonal[n] += own_diagonal[n] / total;
    }
  }
  return ratio_estimate(directional, diagonal);
}

}  // namespace

Measured shrink(const Measured& seen, double prior, double spread) {
  if (!(seen.standard_error > 0)) return {prior, spread};  // a single sequence tells nothing
  const double weight = spread * spread / (spread * spread + seen.standard_error * seen.standard_error);
  return {prior + weight * (seen.mean - prior), std::sqrt(weight) * seen.standard_error};
}

Measured predicted_kl(const ScreenScale& scale, const Measured& diagonal) {
  return {scale.used.mean * diagonal.mean,
          std::hypot(scale.used.mean * diagonal.standard_error, diagonal.mean * scale.used.standard_error)};
}

std::map<std::string, ScreenScale> scales_of(const std::vector<Component>& components, size_t schemes,
                                             const SumsOfComponent& sums) {
  std::map<std::string, ScreenScale> scales;
  ScreenScale& all = scales["all"];
  all.ratio = ratio_over(components, schemes, sums, is_one_matrix);
  all.used = shrink(all.ratio, 1, kSpreadOfModels);
  std::set<ComponentKind> kinds;
  for (const Component& component : components) kinds.insert(component.kind);
  for (const ComponentKind kind : kinds) {
    ScreenScale& own = scales[std::string(kind_name(kind))];
    own.ratio = ratio_over(components, schemes, sums, [&](ComponentKind k) { return k == kind; });
    own.used = shrink(own.ratio, all.used.mean, kSpreadOfKinds);
  }
  return scales;
}

}  // namespace vernier
