#include "plan/minimax.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "support/expect_error.h"
#include "support/knapsack_problems.h"

namespace vernier {
namespace {

/// The problem's damages, times a factor of each group and matrix between 1/3 and 3.
GroupDamages damages_of(const KnapsackProblem& problem, size_t groups, uint64_t seed) {
  Lcg random(seed);
  GroupDamages damages(groups);
  for (auto& group : damages)
    for (const PlanItem& item : problem.items) {
      const double factor = std::pow(3, 2 * random.unit() - 1);
      auto& own = group.emplace_back();
      for (const Candidate& c : item.candidates) own.push_back(c.damage * factor);
    }
  return damages;
}

double worst_group(const GroupDamages& damages, const std::vector<size_t>& choice) {
  const std::vector<double> sums = damage_of_groups(damages, choice);
  return *std::max_element(sums.begin(), sums.end());
}

bool keeps_ties(const KnapsackProblem& problem, const std::vector<size_t>& choice) {
  for (const auto& tied : problem.tied)
    for (const size_t item : tied)
      if (problem.items[item].candidates[choice[item]].scheme !=
          problem.items[tied.front()].candidates[choice[tied.front()]].scheme)
        return false;
  return true;
}

/// The least damage of the worst group over all choices that fit.
double by_brute_force(const KnapsackProblem& problem, const GroupDamages& damages) {
  std::vector<size_t> choice(problem.items.size());
  double best = INFINITY;
  const std::function<void(size_t, uint64_t)> visit = [&](size_t item, uint64_t bytes) {
    if (bytes > problem.budget_bytes) return;
    if (item == choice.size()) {
      if (keeps_ties(problem, choice)) best = std::min(best, worst_group(damages, choice));
      return;
    }
    for (choice[item] = 0; choice[item] < problem.items[item].candidates.size(); ++choice[item])
      visit(item + 1, bytes + problem.items[item].candidates[choice[item]].bytes);
  };
  visit(0, 0);
  return best;
}

TEST(Minimax, IsExactWhereEveryChoiceCanBeTried) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    KnapsackProblem problem = transformer_problem(7, 4, 0.05 + 0.02 * static_cast<double>(seed), seed);
    if (seed % 3 == 0) problem.tied = {{0, 1, 2}, {4, 5}};
    const GroupDamages damages = damages_of(problem, 1 + seed % 5, seed);
    const MinimaxSolution s = minimize_worst_group(problem, damages);
    ASSERT_TRUE(s.knapsack.feasible);
    EXPECT_LE(s.knapsack.bytes, problem.budget_bytes);
    EXPECT_TRUE(keeps_ties(problem, s.knapsack.choice));
    const double best = by_brute_force(problem, damages);
    EXPECT_NEAR(s.knapsack.damage, best, 1e-9 * best);
    EXPECT_NEAR(s.knapsack.lower_bound, best, 1e-9 * best) << "proven";
    EXPECT_DOUBLE_EQ(worst_group(damages, s.knapsack.choice), s.knapsack.damage);
    EXPECT_NEAR(std::accumulate(s.weights.begin(), s.weights.end(), 0.0), 1, 1e-9);
    EXPECT_EQ(s.group_damage, damage_of_groups(damages, s.knapsack.choice));
  }
}

TEST(Minimax, OnAWholeModelTheProvenGapIsSmallAndTheMeanPlanIsBeaten) {
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    KnapsackProblem problem = transformer_problem(210, 6, 0.3, seed);
    const GroupDamages damages = damages_of(problem, 12, seed);
    const MinimaxSolution s = minimize_worst_group(problem, damages);
    EXPECT_LE(s.knapsack.bytes, problem.budget_bytes);
    EXPECT_LT(s.knapsack.gap(), 0.01);
    EXPECT_GE(s.knapsack.gap(), 0);
    const KnapsackSolution mean = solve_knapsack(weighted_problem(problem, damages, std::vector<double>(12, 1.0 / 12)));
    EXPECT_LT(s.knapsack.damage, worst_group(damages, mean.choice));
    for (size_t g = 0; g < 12; ++g) EXPECT_LE(s.least_possible[g], s.group_damage[g]);
  }
}

TEST(Minimax, OneGroupIsTheOrdinaryKnapsack) {
  const KnapsackProblem problem = transformer_problem(30, 5, 0.3, 5);
  const GroupDamages damages = damages_of(problem, 1, 5);
  const KnapsackSolution ordinary = solve_knapsack(weighted_problem(problem, damages, {1}));
  const MinimaxSolution s = minimize_worst_group(problem, damages);
  EXPECT_NEAR(s.knapsack.damage, ordinary.damage, 1e-9 * ordinary.damage);
  EXPECT_EQ(s.weights, std::vector<double>{1});
}

TEST(Minimax, AGroupThatIsHurtAsMuchByNothingElseDecidesAlone) {
  const KnapsackProblem problem = transformer_problem(30, 5, 0.3, 6);
  GroupDamages damages = damages_of(problem, 2, 6);
  for (auto& item : damages[0])
    for (double& d : item) d *= 1e-3;
  const MinimaxSolution s = minimize_worst_group(problem, damages);
  EXPECT_NEAR(s.weights[1], 1, 1e-9);
  EXPECT_NEAR(s.knapsack.damage, s.least_possible[1], 1e-3 * s.knapsack.damage);
}

TEST(Minimax, ABudgetThatIsTooSmallIsAValue) {
  KnapsackProblem problem = transformer_problem(7, 3, 0.5, 1);
  problem.budget_bytes = 10;
  const MinimaxSolution s = minimize_worst_group(problem, damages_of(problem, 3, 1));
  EXPECT_FALSE(s.knapsack.feasible);
  EXPECT_GT(s.knapsack.smallest_bytes, 10u);
}

TEST(Minimax, ABudgetThatDoesNotBindTakesTheLeastDamageOfAll) {
  KnapsackProblem problem = transformer_problem(7, 3, 0.5, 1);
  problem.budget_bytes = uint64_t{1} << 60;
  const GroupDamages damages = damages_of(problem, 3, 1);
  const MinimaxSolution s = minimize_worst_group(problem, damages);
  EXPECT_EQ(s.knapsack.gap(), 0);
  for (size_t g = 0; g < 3; ++g) EXPECT_NEAR(s.group_damage[g], s.least_possible[g], 1e-12);
}

TEST(Minimax, DamagesOfAnotherShapeAreRefused) {
  const KnapsackProblem problem = transformer_problem(7, 3, 0.5, 1);
  GroupDamages damages = damages_of(problem, 3, 1);
  damages[1][2].pop_back();
  expect_error(ErrorKind::kInvalidArgument, {"damages of a group"}, [&] { minimize_worst_group(problem, damages); });
  expect_error(ErrorKind::kInvalidArgument, {"no groups"}, [&] { minimize_worst_group(problem, {}); });
}

}  // namespace
}  // namespace vernier
