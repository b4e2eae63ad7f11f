#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "support/expect_error.h"
#include "support/knapsack_problems.h"
#include "support/processor_time.h"
#include "vernier/error.h"
#include "vernier/plan.h"

namespace vernier {
namespace {

/// Damages are sums of a handful of doubles in another order than the solver's.
constexpr double kSumRounding = 1e-11;

double damage_of(const KnapsackProblem& problem, const std::vector<size_t>& choice) {
  double damage = 0;
  for (size_t i = 0; i < choice.size(); ++i) damage += problem.items[i].candidates[choice[i]].damage;
  return damage;
}

uint64_t bytes_of(const KnapsackProblem& problem, const std::vector<size_t>& choice) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < choice.size(); ++i) bytes += problem.items[i].candidates[choice[i]].bytes;
  return bytes;
}

bool ties_hold(const KnapsackProblem& problem, const std::vector<size_t>& choice) {
  for (const auto& group : problem.tied)
    for (const size_t item : group)
      if (problem.items[item].candidates[choice[item]].scheme !=
          problem.items[group[0]].candidates[choice[group[0]]].scheme)
        return false;
  return true;
}

/// What every feasible solution must satisfy, whatever the problem.
void expect_consistent(const KnapsackProblem& problem, const KnapsackSolution& solution) {
  ASSERT_TRUE(solution.feasible);
  ASSERT_EQ(solution.choice.size(), problem.items.size());
  for (size_t i = 0; i < solution.choice.size(); ++i) ASSERT_LT(solution.choice[i], problem.items[i].candidates.size());
  EXPECT_LE(solution.bytes, problem.budget_bytes);
  EXPECT_EQ(solution.bytes, bytes_of(problem, solution.choice));
  EXPECT_NEAR(solution.damage, damage_of(problem, solution.choice), kSumRounding * solution.damage);
  EXPECT_LE(solution.lower_bound, solution.damage);
  EXPECT_GE(solution.lower_bound, 0);
  EXPECT_TRUE(ties_hold(problem, solution.choice));
}

struct BruteForce {
  bool feasible = false;
  double damage = std::numeric_limits<double>::infinity();
  uint64_t smallest_bytes = std::numeric_limits<uint64_t>::max();
};

BruteForce brute_force(const KnapsackProblem& problem) {
  BruteForce result;
  std::vector<size_t> choice(problem.items.size(), 0);
  while (true) {
    if (ties_hold(problem, choice)) {
      const uint64_t bytes = bytes_of(problem, choice);
      result.smallest_bytes = std::min(result.smallest_bytes, bytes);
      if (bytes <= problem.budget_bytes) {
        result.feasible = true;
        result.damage = std::min(result.damage, damage_of(problem, choice));
      }
    }
    size_t i = 0;
    while (i < choice.size() && ++choice[i] == problem.items[i].candidates.size()) choice[i++] = 0;
    if (i == choice.size()) return result;
  }
}

KnapsackProblem tiny_problem(Lcg& random) {
  KnapsackProblem problem;
  const size_t items = 1 + random.below(6);
  const uint64_t size_range = random.below(2) == 0 ? 8 : 100000;  // small ranges make ties and equal sizes common
  uint64_t largest = 0;
  for (size_t i = 0; i < items; ++i) {
    PlanItem item{.tensor = "t" + std::to_string(i), .candidates = {}};
    const size_t candidates = 1 + random.below(5);
    const size_t first = random.below(2);
    for (size_t c = 0; c < candidates; ++c)
      item.candidates.push_back({"s" + std::to_string(first + c), random.below(size_range),
                                 random.below(3) == 0 ? static_cast<double>(random.below(4)) : random.unit()});
    for (const Candidate& c : item.candidates) largest = std::max(largest, c.bytes);
    problem.items.push_back(std::move(item));
  }
  if (items >= 3 && random.below(2) == 0) problem.tied.push_back({0, 2});
  if (items >= 4 && random.below(3) == 0) problem.tied.push_back({2, 3});
  problem.budget_bytes = random.below(largest * items + 1);
  return problem;
}

bool groups_can_be_met(const KnapsackProblem& problem) {
  KnapsackProblem unlimited = problem;
  unlimited.budget_bytes = std::numeric_limits<uint64_t>::max();
  return brute_force(unlimited).feasible;
}

TEST(SolveKnapsack, EqualsBruteForceOnTinyProblems) {
  int compared = 0, infeasible = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Lcg random(seed);
    const KnapsackProblem problem = tiny_problem(random);
    if (!groups_can_be_met(problem)) {
      expect_error(ErrorKind::kInvalidArgument, {"tied tensors have no scheme in common"},
                   [&] { solve_knapsack(problem); });
      continue;
    }
    const BruteForce best = brute_force(problem);
    const KnapsackSolution solution = solve_knapsack(problem);
    ASSERT_EQ(solution.feasible, best.feasible);
    EXPECT_EQ(solution.smallest_bytes, best.smallest_bytes);
    if (!best.feasible) {
      ++infeasible;
      continue;
    }
    expect_consistent(problem, solution);
    EXPECT_NEAR(solution.damage, best.damage, kSumRounding * best.damage);
    EXPECT_EQ(solution.gap(), 0);
    // Starved of nodes, the choice may be worse, but the bound must hold.
    for (const uint64_t max_nodes : {0, 1, 5, 20}) {
      const KnapsackSolution starved = solve_knapsack(problem, {.max_nodes = max_nodes});
      expect_consistent(problem, starved);
      EXPECT_LE(starved.lower_bound, best.damage * (1 + kSumRounding));
      EXPECT_GE(starved.damage, best.damage * (1 - kSumRounding));
    }
    const KnapsackSolution loose = solve_knapsack(problem, {.relative_gap = 0.2});
    expect_consistent(problem, loose);
    EXPECT_LE(loose.lower_bound, best.damage * (1 + kSumRounding));
    EXPECT_LE(loose.gap(), 0.2 + kSumRounding);
    ++compared;
  }
  EXPECT_GT(compared, 200);
  EXPECT_GT(infeasible, 10);
}

/// The optimum by dynamic programming over bytes: exact for many items, as long as the bytes are few.
double best_by_table(const KnapsackProblem& problem) {
  constexpr double kNone = std::numeric_limits<double>::infinity();
  std::vector<double> least(problem.budget_bytes + 1, 0);
  for (const PlanItem& item : problem.items) {
    std::vector<double> next(least.size(), kNone);
    for (const Candidate& c : item.candidates)
      for (size_t b = c.bytes; b < next.size(); ++b) next[b] = std::min(next[b], least[b - c.bytes] + c.damage);
    least = std::move(next);
  }
  return least.back();
}

TEST(SolveKnapsack, EqualsATableOnLongProblems) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Lcg random(seed);
    const bool is_correlated =
        seed % 2 == 0;  // damage nearly linear in bytes: bounds are tight and many choices survive
    KnapsackProblem problem;
    for (size_t i = 0; i < 40; ++i) {
      PlanItem item{.tensor = "t" + std::to_string(i), .candidates = {}};
      const uint64_t largest = seed % 3 == 0 ? (i % 8 == 0 ? 300 : 12) : 60;  // a few large tensors among small ones
      for (size_t c = 0; c < 6; ++c) {
        const uint64_t bytes = random.below(largest);
        const double damage = is_correlated ? 300 - static_cast<double>(bytes) + random.unit() : random.unit();
        item.candidates.push_back({"s" + std::to_string(c), bytes, damage});
      }
      problem.items.push_back(std::move(item));
    }
    problem.budget_bytes = 400 + random.below(1000);
    const double best = best_by_table(problem);
    const KnapsackSolution solution = solve_knapsack(problem);
    if (!solution.feasible) {
      EXPECT_EQ(best, std::numeric_limits<double>::infinity());
      continue;
    }
    expect_consistent(problem, solution);
    EXPECT_NEAR(solution.damage, best, kSumRounding * best);
    for (const uint64_t max_nodes : {1, 100, 3000}) {
      const KnapsackSolution starved = solve_knapsack(problem, {.max_nodes = max_nodes});
      expect_consistent(problem, starved);
      EXPECT_LE(starved.lower_bound, best * (1 + kSumRounding));
    }
    const KnapsackSolution loose = solve_knapsack(problem, {.relative_gap = 0.02});
    expect_consistent(problem, loose);
    EXPECT_LE(loose.lower_bound, best * (1 + kSumRounding));
    EXPECT_LE(loose.gap(), 0.02 + kSumRounding);
  }
}

KnapsackProblem two_schemes(size_t items, uint64_t budget) {
  KnapsackProblem problem;
  for (size_t i = 0; i < items; ++i)
    problem.items.push_back({"t" + std::to_string(i), {{"small", 10, 1.0}, {"large", 20, 0.25}}});
  problem.budget_bytes = budget;
  return problem;
}

TEST(SolveKnapsack, NoItemsNeedNoBytes) {
  const KnapsackSolution solution = solve_knapsack({});
  EXPECT_TRUE(solution.feasible);
  EXPECT_EQ(solution.bytes, 0u);
  EXPECT_EQ(solution.damage, 0);
}

TEST(SolveKnapsack, OneItemTakesTheBestThatFits) {
  EXPECT_EQ(solve_knapsack(two_schemes(1, 20)).choice, std::vector<size_t>{1});
  EXPECT_EQ(solve_knapsack(two_schemes(1, 19)).choice, std::vector<size_t>{0});
}

TEST(SolveKnapsack, TooSmallABudgetSaysWhatWouldFit) {
  for (const uint64_t budget : {0, 29}) {
    const KnapsackSolution solution = solve_knapsack(two_schemes(3, budget));
    EXPECT_FALSE(solution.feasible);
    EXPECT_TRUE(solution.choice.empty());
    EXPECT_EQ(solution.smallest_bytes, 30u);
  }
}

TEST(SolveKnapsack, EqualItemsAreResolvedTheSameWayEachTime) {
  const KnapsackSolution first = solve_knapsack(two_schemes(9, 120));
  EXPECT_EQ(first.bytes, 120u);
  EXPECT_DOUBLE_EQ(first.damage, 6 * 1.0 + 3 * 0.25);
  EXPECT_EQ(first.gap(), 0);
  EXPECT_DOUBLE_EQ(first.price_per_byte, 0.075);
  EXPECT_EQ(first.choice, (std::vector<size_t>{1, 1, 1, 0, 0, 0, 0, 0, 0})) << "ties go to the lowest index";
  EXPECT_EQ(solve_knapsack(two_schemes(9, 120)).choice, first.choice);
}

TEST(SolveKnapsack, EqualDamagesTakeTheSmallest) {
  KnapsackProblem problem;
  problem.items.push_back({"t", {{"large", 30, 0.5}, {"small", 10, 0.5}, {"twin", 10, 0.5}}});
  problem.budget_bytes = 100;
  const KnapsackSolution solution = solve_knapsack(problem);
  EXPECT_EQ(solution.choice, std::vector<size_t>{1});
  EXPECT_EQ(solution.price_per_byte, 0);
}

TEST(SolveKnapsack, ZeroDamageEverywhereIsProvenAtOnce) {
  KnapsackProblem problem = two_schemes(50, 700);
  for (PlanItem& item : problem.items)
    for (Candidate& c : item.candidates) c.damage = 0;
  const KnapsackSolution solution = solve_knapsack(problem);
  EXPECT_EQ(solution.damage, 0);
  EXPECT_EQ(solution.gap(), 0);
  EXPECT_EQ(solution.bytes, 500u);
}

TEST(SolveKnapsack, AlmostTheWholeOfSixtyBits) {
  constexpr uint64_t kHuge = (uint64_t{1} << 60) - 1;
  KnapsackProblem problem;
  problem.items.push_back({"a", {{"small", kHuge - 7, 2}, {"large", kHuge, 1}}});
  problem.items.push_back({"b", {{"small", 1, 3}, {"large", kHuge, 0}}});
  problem.budget_bytes = kHuge - 7 + kHuge;
  const KnapsackSolution solution = solve_knapsack(problem);
  expect_consistent(problem, solution);
  EXPECT_EQ(solution.choice, (std::vector<size_t>{0, 1})) << "seven bytes short of both";
  EXPECT_EQ(solution.gap(), 0);
}

TEST(SolveKnapsack, SumsBeyondSixtyFourBitsSaturate) {
  KnapsackProblem problem;
  for (int i = 0; i < 40; ++i) problem.items.push_back({"t", {{"s", uint64_t{1} << 60, 1}}});
  for (const uint64_t budget : {uint64_t{1} << 62, std::numeric_limits<uint64_t>::max()}) {
    problem.budget_bytes = budget;
    const KnapsackSolution solution = solve_knapsack(problem);
    EXPECT_FALSE(solution.feasible);
    EXPECT_EQ(solution.smallest_bytes, std::numeric_limits<uint64_t>::max());
  }
}

TEST(SolveKnapsack, GroupsTakeACommonScheme) {
  KnapsackProblem problem;
  problem.items.push_back({"q", {{"a", 10, 5}, {"b", 20, 0}}});
  problem.items.push_back({"k", {{"b", 20, 1}, {"a", 10, 4}, {"c", 1, 9}}});
  problem.items.push_back({"v", {{"a", 10, 3}, {"b", 20, 2}}});
  problem.tied = {{0, 1}, {1, 2}};
  problem.budget_bytes = 59;
  KnapsackSolution solution = solve_knapsack(problem);
  EXPECT_EQ(solution.choice, (std::vector<size_t>{0, 1, 0}));
  EXPECT_EQ(solution.smallest_bytes, 30u) << "c is not available to the group";
  problem.budget_bytes = 60;
  EXPECT_EQ(solve_knapsack(problem).choice, (std::vector<size_t>{1, 0, 1}));
}

TEST(SolveKnapsack, RefusesWhatIsNotAProblem) {
  const auto kind_of = [](const KnapsackProblem& problem, const KnapsackOptions& options = {}) {
    try {
      solve_knapsack(problem, options);
    } catch (const Error& e) {
      return e.kind();
    }
    ADD_FAILURE() << "accepted";
    return ErrorKind::kInternal;
  };
  const KnapsackProblem good = two_schemes(2, 30);
  KnapsackProblem bad = good;
  bad.items[1].candidates.clear();
  EXPECT_EQ(kind_of(bad), ErrorKind::kInvalidArgument);
  for (const double damage :
       {-1e-9, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    bad = good;
    bad.items[0].candidates[0].damage = damage;
    EXPECT_EQ(kind_of(bad), ErrorKind::kInvalidArgument);
  }
  bad = good;
  bad.items[0].candidates[1].scheme = "small";
  EXPECT_EQ(kind_of(bad), ErrorKind::kInvalidArgument);
  bad = good;
  bad.items[0].candidates[1].bytes = (uint64_t{1} << 60) + 1;
  EXPECT_EQ(kind_of(bad), ErrorKind::kInvalidArgument);
  bad = good;
  bad.tied = {{0, 2}};
  EXPECT_EQ(kind_of(bad), ErrorKind::kInvalidArgument);
  bad = good;
  bad.items[0].candidates = {{"other", 1, 1}};
  bad.tied = {{0, 1}};
  EXPECT_EQ(kind_of(bad), ErrorKind::kInvalidArgument);
  EXPECT_EQ(kind_of(good, {.relative_gap = -1}), ErrorKind::kInvalidArgument);
}

TEST(SolveKnapsack, NeverWorseThanAUniformChoiceThatFits) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    KnapsackProblem problem = transformer_problem(40, 6, 0.3, seed);
    for (size_t c = 0; c < 6; ++c) {
      const std::vector<size_t> uniform(problem.items.size(), c);
      problem.budget_bytes = bytes_of(problem, uniform);
      // Without nodes the search cannot help: the check itself is tested.
      for (const uint64_t max_nodes : {uint64_t{0}, uint64_t{20000}}) {
        const KnapsackSolution solution = solve_knapsack(problem, {.max_nodes = max_nodes});
        expect_consistent(problem, solution);
        EXPECT_LE(solution.damage, damage_of(problem, uniform) * (1 + kSumRounding));
      }
    }
  }
}

constexpr KnapsackOptions kNoSearch{.max_nodes = 0, .relative_gap = 0};

TEST(SolveKnapsack, AUniformChoiceWinsOverTheGreedyOneEvenWithoutSearch) {
  // Greedy takes the steep "l" twice and strands two bytes; no single exchange mends that. "m" lies above the hull.
  KnapsackProblem problem;
  problem.items.push_back({"a", {{"s", 0, 10}, {"m", 10, 5.1}, {"l", 14, 2.8}}});
  problem.items.push_back({"b", {{"s", 0, 10}, {"m", 10, 5.1}, {"l", 14, 2.8}}});
  problem.items.push_back({"lacks m", {{"s", 0, 10}, {"other", 10, 5.2}}});
  problem.budget_bytes = 30;
  EXPECT_EQ(solve_knapsack(problem, kNoSearch).choice, (std::vector<size_t>{1, 1, 1}));
}

TEST(SolveKnapsack, ExchangesMendTheGreedyChoiceEvenWithoutSearch) {
  // Greedy raises "a" to 17 bytes and strands three; lowering it to 10 pays for raising "b".
  KnapsackProblem problem;
  problem.items.push_back({"a", {{"s", 0, 10}, {"m1", 10, 5.1}, {"l", 17, 1.4}}});
  problem.items.push_back({"b", {{"s", 0, 10}, {"m2", 10, 5.1}, {"l", 17, 1.5}}});
  problem.budget_bytes = 20;
  EXPECT_EQ(solve_knapsack(problem, kNoSearch).choice, (std::vector<size_t>{1, 1}));
}

PlanItem raise(const std::string& name, uint64_t bytes, double saved) {
  return {name, {{"s", 0, saved}, {"l", bytes, 0}}};
}

TEST(SolveKnapsack, OneTensorMakesRoomForSeveral) {
  // The steepest tensor, "a", strands two bytes; leaving it out lets all the others but "e" in, which no exchange of
  // two finds. Here its turn comes before theirs, so that the bound must look beyond the bytes that are spare now.
  KnapsackProblem problem;
  problem.items = {raise("a", 10, 9.1), raise("b", 4, 3.4), raise("c", 4, 3.4), raise("d", 4, 3.4), raise("e", 5, 4.5)};
  problem.budget_bytes = 12;
  EXPECT_EQ(solve_knapsack(problem).choice, (std::vector<size_t>{0, 1, 1, 1, 0}));
  // Here theirs comes first, and "a" must then give back exactly all it has.
  problem.items = {raise("a", 10, 10), raise("b", 6, 5.25), raise("c", 6, 5.25)};
  EXPECT_EQ(solve_knapsack(problem).choice, (std::vector<size_t>{0, 1, 1}));
}

TEST(SolveKnapsack, MoreBytesNeverHurt) {
  double last = std::numeric_limits<double>::infinity();
  for (int percent = 0; percent <= 100; percent += 10) {
    const KnapsackProblem problem = transformer_problem(14, 6, percent / 100.0, 3);
    const KnapsackSolution solution = solve_knapsack(problem);
    expect_consistent(problem, solution);
    EXPECT_EQ(solution.gap(), 0);
    EXPECT_LE(solution.damage, last);
    last = solution.damage;
  }
}

TEST(SolveKnapsack, TypicalSizesFinishQuickly) {
  for (const size_t tensors : {60, 2300})
    for (const double budget : {0.05, 0.2, 0.6}) {
      const KnapsackProblem problem = transformer_problem(tensors, 6, budget, tensors);
      const double start = processor_seconds();
      const KnapsackSolution solution = solve_knapsack(problem, {.max_nodes = 400'000});  // the sanitizers' share
      const double seconds = processor_seconds() - start;
      expect_consistent(problem, solution);
      EXPECT_LE(solution.gap(), 1e-3);
      EXPECT_LT(seconds, 20) << "about 0.1 s optimised";
    }
}

}  // namespace
}  // namespace vernier
