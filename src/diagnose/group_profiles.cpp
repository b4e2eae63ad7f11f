#include "diagnose/group_profiles.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

namespace vernier {

namespace {

/// Residuals of one component with what does not change when units change groups.
struct Residuals {
  Component component;
  std::vector<double> weighted;  ///< tokens * residual, by unit
  double mean = 0;               ///< by tokens
  double spread = 0;             ///< sum of tokens * (residual - mean)^2
};

/// Sums over the units of every group.
std::vector<double> by_group(const std::vector<double>& values, const std::vector<size_t>& group_of, size_t groups) {
  std::vector<double> sums(groups);
  for (size_t u = 0; u < values.size(); ++u) sums[group_of[u]] += values[u];
  return sums;
}

/// What group g adds to the spread between groups.
double between(double weighted, double tokens, double mean) {
  const double difference = weighted - tokens * mean;
  return tokens > 0 ? difference * difference / tokens : 0;
}

double explained_share(const Residuals& r, const std::vector<double>& tokens_of_group,
                       const std::vector<size_t>& group_of) {
  const std::vector<double> sums = by_group(r.weighted, group_of, tokens_of_group.size());
  double total = 0;
  for (size_t g = 0; g < sums.size(); ++g) total += between(sums[g], tokens_of_group[g], r.mean);
  return r.spread > 0 ? total / r.spread : 0;
}

std::vector<Residuals> residuals_of(const std::vector<double>& tokens, const std::vector<Component>& components,
                                    const std::vector<std::vector<double>>& unit_kl) {
  const double all_tokens = std::accumulate(tokens.begin(), tokens.end(), 0.0);
  std::vector<double> means, difficulty(tokens.size());
  double damaging = 0;
  for (const std::vector<double>& kl : unit_kl) {
    means.push_back(std::accumulate(kl.begin(), kl.end(), 0.0) / all_tokens);
    if (!(means.back() > 0)) continue;
    ++damaging;
    for (size_t u = 0; u < tokens.size(); ++u) difficulty[u] += kl[u] / means.back();
  }
  std::vector<Residuals> residuals;
  for (size_t c = 0; c < components.size(); ++c) {
    if (!(means[c] > 0)) continue;
    Residuals r{components[c], std::vector<double>(tokens.size())};
    for (size_t u = 0; u < tokens.size(); ++u)
      if (difficulty[u] > 0) r.weighted[u] = tokens[u] * unit_kl[c][u] / means[c] / (difficulty[u] / damaging);
    // difficulty holds sums of KL where x is KL per token: both counts of tokens cancel but for the one in front.
    r.mean = std::accumulate(r.weighted.begin(), r.weighted.end(), 0.0) / all_tokens;
    for (size_t u = 0; u < tokens.size(); ++u) r.spread += between(r.weighted[u], tokens[u], r.mean);
    residuals.push_back(std::move(r));
  }
  return residuals;
}

}  // namespace

GroupProfiles group_profiles(const WindowGroups& groups, const std::vector<Component>& components,
                             const std::vector<std::vector<double>>& unit_kl, const ProfileOptions& options) {
  const std::vector<double>& tokens = groups.unit_tokens;
  const std::vector<Residuals> residuals = residuals_of(tokens, components, unit_kl);
  std::vector<size_t> group_of = groups.group_of_unit;
  std::vector<double> tokens_of_group = by_group(tokens, group_of, groups.names.size());

  GroupProfiles profiles{options.permutations, 1, {}};
  double mean_share = 0;
  for (const Residuals& r : residuals) {
    GroupProfile profile{r.component, explained_share(r, tokens_of_group, group_of)};
    mean_share += profile.explained_share;
    const std::vector<double> sums = by_group(r.weighted, group_of, groups.names.size());
    double most = -1;
    for (size_t g = 0; g < sums.size(); ++g) {
      const double factor = sums[g] / tokens_of_group[g] / r.mean;
      if (std::isfinite(factor)) profile.factors[groups.names[g]] = factor;
      const double own = between(sums[g], tokens_of_group[g], r.mean);
      if (own <= most) continue;
      most = own;
      profile.group = groups.names[g];
      profile.factor = factor;
    }
    profiles.components.push_back(std::move(profile));
  }

  std::mt19937_64 random(options.seed);
  int64_t as_structured = 0;
  std::vector<double> largest;
  for (int64_t n = 0; n < options.permutations; ++n) {
    for (size_t i = group_of.size(); i > 1; --i) std::swap(group_of[i - 1], group_of[random() % i]);
    tokens_of_group = by_group(tokens, group_of, groups.names.size());
    double sum = 0, most = 0;
    for (const Residuals& r : residuals) {
      const double share = explained_share(r, tokens_of_group, group_of);
      sum += share;
      most = std::max(most, share);
    }
    if (sum >= mean_share) ++as_structured;
    largest.push_back(most);
  }
  const auto probability = [&](int64_t as_extreme) {
    return static_cast<double>(1 + as_extreme) / static_cast<double>(1 + options.permutations);
  };
  profiles.p = probability(as_structured);
  std::sort(largest.begin(), largest.end());
  for (GroupProfile& profile : profiles.components)
    profile.p = probability(largest.end() - std::lower_bound(largest.begin(), largest.end(), profile.explained_share));
  std::stable_sort(profiles.components.begin(), profiles.components.end(),
                   [](const GroupProfile& a, const GroupProfile& b) { return a.explained_share > b.explained_share; });
  return profiles;
}

}  // namespace vernier
