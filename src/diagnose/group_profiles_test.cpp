#include "diagnose/group_profiles.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "support/knapsack_problems.h"

namespace vernier {
namespace {

constexpr size_t kGroups = 4, kUnits = 40, kComponents = 12;

WindowGroups made_up_groups(Lcg& random) {
  WindowGroups groups;
  for (size_t g = 0; g < kGroups; ++g) groups.names.push_back("g" + std::to_string(g));
  for (size_t u = 0; u < kUnits; ++u) {
    groups.group_of_unit.push_back(u % kGroups);
    groups.unit_tokens.push_back(100 + static_cast<double>(random.below(400)));
  }
  return groups;
}

std::vector<Component> made_up_components() {
  std::vector<Component> components;
  for (size_t c = 0; c < kComponents; ++c) components.push_back({ComponentKind::kFfn, static_cast<int>(c)});
  return components;
}

double noise(Lcg& random) { return std::exp(0.8 * (random.unit() + random.unit() + random.unit() - 1.5)); }

/// Components and groups that differ by orders of magnitude, but in product alone; with noise of each window that all
/// components share, and of each alone.
std::vector<std::vector<double>> product_damage(const WindowGroups& groups, Lcg& random) {
  std::vector<double> of_window;
  for (size_t u = 0; u < kUnits; ++u)
    of_window.push_back(groups.unit_tokens[u] * std::pow(3, static_cast<double>(groups.group_of_unit[u])) *
                        noise(random));
  std::vector<std::vector<double>> kl(kComponents);
  for (size_t c = 0; c < kComponents; ++c)
    for (size_t u = 0; u < kUnits; ++u)
      kl[c].push_back(std::pow(2, -static_cast<double>(c)) * of_window[u] * noise(random));
  return kl;
}

TEST(GroupProfiles, FindAPlantedComponentAndItsGroup) {
  Lcg random(3);
  const WindowGroups groups = made_up_groups(random);
  auto kl = product_damage(groups, random);
  for (size_t u = 0; u < kUnits; ++u)
    if (groups.group_of_unit[u] == 2) kl[5][u] *= 4;
  const GroupProfiles profiles = group_profiles(groups, made_up_components(), kl);
  EXPECT_LT(profiles.p, 0.05);
  ASSERT_EQ(profiles.components.size(), kComponents);
  EXPECT_EQ(profiles.components.front().component, made_up_components()[5]);
  EXPECT_EQ(profiles.components.front().group, "g2");
  EXPECT_GT(profiles.components.front().factor, 2);
  EXPECT_LT(profiles.components.front().p, 0.01);
}

// Components that hurt groups in the same proportions are no structure, however much groups differ: of 200 such worlds
// about 5 % may look like some (binomial: 2 to 21 of 200 in 99.99 %).
TEST(GroupProfiles, FindNothingWhereGroupsAndComponentsOnlyMultiply) {
  int all = 0, any = 0;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    Lcg random(seed);
    const WindowGroups groups = made_up_groups(random);
    const GroupProfiles profiles = group_profiles(groups, made_up_components(), product_damage(groups, random),
                                                  {.permutations = 99, .seed = seed});
    all += profiles.p <= 0.05;
    any += profiles.components.front().p <= 0.05;
  }
  EXPECT_GE(all, 2);
  EXPECT_LE(all, 21);
  EXPECT_GE(any, 2);
  EXPECT_LE(any, 21);
}

TEST(GroupProfiles, WhatDoesNoDamageIsLeftOut) {
  Lcg random(4);
  const WindowGroups groups = made_up_groups(random);
  auto kl = product_damage(groups, random);
  kl[0].assign(kUnits, 0);
  EXPECT_EQ(group_profiles(groups, made_up_components(), kl, {.permutations = 9}).components.size(), kComponents - 1);
}

}  // namespace
}  // namespace vernier
