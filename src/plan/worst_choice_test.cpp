// The worst choice against all choices, random ones against what they may be.

#include "vernier/worst_choice.h"

#include <gtest/gtest.h>

#include <random>

#include "support/expect_error.h"

namespace vernier {
namespace {

KnapsackProblem small_problem(uint64_t seed) {
  std::mt19937_64 random(seed);
  KnapsackProblem problem;
  for (int i = 0; i < 6; ++i) {
    PlanItem item{"t" + std::to_string(i), {}};
    for (int c = 0; c < 4; ++c)
      item.candidates.push_back({"s" + std::to_string(c), 100 * static_cast<uint64_t>(c + 1) + random() % 40,
                                 static_cast<double>(random() % 1000) / (c + 1)});
    problem.items.push_back(item);
  }
  problem.tied = {{1, 4}};
  return problem;
}

/// By all choices: the most damage of at least so many bytes; below 0 for none.
double worst_of_all(const KnapsackProblem& problem, uint64_t least_bytes) {
  double worst = -1;
  for (int code = 0; code < 4096; ++code) {
    uint64_t bytes = 0;
    double damage = 0;
    size_t choice[6];
    for (int i = 0; i < 6; ++i) {
      choice[i] = static_cast<size_t>(code >> (2 * i)) % 4;
      bytes += problem.items[static_cast<size_t>(i)].candidates[choice[i]].bytes;
      damage += problem.items[static_cast<size_t>(i)].candidates[choice[i]].damage;
    }
    if (choice[1] == choice[4] && bytes >= least_bytes) worst = std::max(worst, damage);
  }
  return worst;
}

TEST(WorstChoice, IsTheWorstOfAll) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const KnapsackProblem problem = small_problem(seed);
    for (const uint64_t bytes : {700, 1500, 2200}) {
      const KnapsackSolution found = worst_choice(problem, bytes);
      ASSERT_TRUE(found.feasible);
      EXPECT_GE(found.bytes, bytes);
      EXPECT_EQ(found.choice[1], found.choice[4]) << "tied";
      EXPECT_NEAR(found.damage, worst_of_all(problem, bytes), 1e-9);
      EXPECT_GE(found.lower_bound, found.damage - 1e-9) << "no choice exceeds it";
    }
  }
  EXPECT_FALSE(worst_choice(small_problem(1), 100000).feasible);
}

TEST(WorstChoice, RandomOnesLieBetweenBestAndWorst) {
  KnapsackProblem problem = small_problem(3);
  problem.budget_bytes = 1500;
  const RandomChoices found = random_choices(problem, 1500, 500, 1);
  EXPECT_GT(found.count, 30) << "of six items few mixes come within 1%";
  EXPECT_LE(found.most, worst_of_all(problem, 1485) + 1e-9);
  problem.budget_bytes = 1515;
  EXPECT_GE(found.least, solve_knapsack(problem).damage - 1e-9);
  EXPECT_GT(found.mean, found.least);
  EXPECT_LT(found.mean, found.most);
  EXPECT_EQ(random_choices(problem, 1500, 500, 1).mean, found.mean) << "by the seed";
}

TEST(WorstChoice, GroupsWithoutACommonSchemeAreRefused) {
  KnapsackProblem problem{{{"a", {{"x", 1, 1}}}, {"b", {{"y", 1, 1}}}}, {{0, 1}}, 2};
  expect_error(ErrorKind::kInvalidArgument, {"no scheme in common"}, [&] { random_choices(problem, 2, 1, 1); });
}

}  // namespace
}  // namespace vernier
