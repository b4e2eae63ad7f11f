#include "vernier/worst_choice.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "base/statistics.h"
#include "plan/choice_class.h"

namespace vernier {

KnapsackSolution worst_choice(const KnapsackProblem& problem, uint64_t least_bytes) {
  KnapsackProblem mirrored = problem;
  uint64_t most_bytes = 0;
  double most_damage = 0;
  for (PlanItem& item : mirrored.items) {
    uint64_t bytes = 0;
    double damage = 0;
    for (const Candidate& c : item.candidates) bytes = std::max(bytes, c.bytes), damage = std::max(damage, c.damage);
    for (Candidate& c : item.candidates) c.bytes = bytes - c.bytes, c.damage = damage - c.damage;
    most_bytes += bytes;
    most_damage += damage;
  }
  KnapsackSolution worst;
  if (most_bytes < least_bytes) return worst;
  mirrored.budget_bytes = most_bytes - least_bytes;
  worst = solve_knapsack(mirrored);
  if (!worst.feasible) return worst;
  worst.bytes = 0;
  worst.damage = 0;
  for (size_t i = 0; i < worst.choice.size(); ++i) {
    worst.bytes += problem.items[i].candidates[worst.choice[i]].bytes;
    worst.damage += problem.items[i].candidates[worst.choice[i]].damage;
  }
  worst.lower_bound = most_damage - worst.lower_bound;
  return worst;
}

RandomChoices random_choices(const KnapsackProblem& problem, uint64_t bytes, int64_t count, uint64_t seed) {
  const std::vector<internal::ChoiceClass> classes = internal::make_classes(problem);
  double smallest = 0;
  for (const internal::ChoiceClass& c : classes) smallest += static_cast<double>(c.smallest_bytes);
  std::mt19937_64 random(seed);
  const auto drawn = [&](const internal::ChoiceClass& c) { return &c.available[random() % c.available.size()]; };
  const auto wanted = static_cast<double>(bytes);
  std::vector<double> damages;
  for (int64_t n = 0; n < count && !classes.empty(); ++n) {
    std::vector<const internal::Option*> chosen;
    double total = smallest, damage = 0;
    for (const internal::ChoiceClass& c : classes) {
      chosen.push_back(drawn(c));
      total += static_cast<double>(chosen.back()->bytes);
      damage += chosen.back()->damage;
    }
    for (size_t step = 0; step < 50 * classes.size() && std::abs(total - wanted) > 0.005 * wanted; ++step) {
      const size_t c = random() % classes.size();
      const internal::Option* other = drawn(classes[c]);
      const double moved = total - static_cast<double>(chosen[c]->bytes) + static_cast<double>(other->bytes);
      if (std::abs(moved - wanted) >= std::abs(total - wanted)) continue;
      total = moved;
      damage += other->damage - chosen[c]->damage;
      chosen[c] = other;
    }
    if (std::abs(total - wanted) <= 0.01 * wanted) damages.push_back(damage);
  }
  const Spread spread = spread_of(damages);
  return {spread.count, spread.mean, spread.min, spread.max, spread.standard_deviation};
}

}  // namespace vernier
