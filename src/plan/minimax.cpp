#include "plan/minimax.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "base/fail.h"
#include "plan/minimax_search.h"

namespace vernier {

namespace {

void check_shape(const KnapsackProblem& problem, const GroupDamages& damages) {
  if (damages.empty()) fail(ErrorKind::kInvalidArgument, "plan: an objective over groups, but no groups");
  for (const auto& group : damages) {
    bool fits = group.size() == problem.items.size();
    for (size_t i = 0; fits && i < group.size(); ++i) fits = group[i].size() == problem.items[i].candidates.size();
    if (!fits) fail(ErrorKind::kInvalidArgument, "plan: damages of a group are not those of the candidates");
  }
}

/// The nearest point with entries >= 0 and sum 1 (Duchi et al. 2008).
std::vector<double> onto_simplex(const std::vector<double>& point) {
  std::vector<double> sorted = point;
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  double sum = 0, shift = 0;
  for (size_t i = 0; i < sorted.size(); ++i) {
    sum += sorted[i];
    const double candidate = (sum - 1) / static_cast<double>(i + 1);
    if (sorted[i] > candidate) shift = candidate;
  }
  std::vector<double> projected;
  for (const double value : point) projected.push_back(std::max(value - shift, 0.0));
  return projected;
}

class Ascent {
 public:
  Ascent(const KnapsackProblem& problem, const GroupDamages& damages, const MinimaxOptions& options)
      : problem_(problem), damages_(damages), options_(options) {
    check_shape(problem, damages);
  }

  MinimaxSolution run() {
    const size_t groups = damages_.size();
    result_.knapsack.damage = INFINITY;
    for (size_t g = 0; g < groups; ++g) {
      std::vector<double> alone(groups);
      alone[g] = 1;
      const KnapsackSolution s = visit(alone);
      if (!s.feasible) return {s, {}, {}, {}};
      result_.least_possible.push_back(s.lower_bound);
    }
    climb();
    close_gap();
    return std::move(result_);
  }

 private:
  /// The knapsack in these weights, with what it says of the best choice and of the bound.
  KnapsackSolution visit(const std::vector<double>& weights) {
    KnapsackSolution s =
        solve_knapsack(weighted_problem(problem_, damages_, weights), {.max_nodes = options_.knapsack_nodes});
    nodes_ += s.nodes;
    if (!s.feasible) return s;
    damage_ = damage_of_groups(damages_, s.choice);
    if (internal::worst_of(damage_) < result_.knapsack.damage) keep(s.choice, damage_);
    if (result_.weights.empty() || s.lower_bound > bound_) {
      bound_ = s.lower_bound;
      result_.weights = weights;
      price_ = s.price_per_byte;
      smallest_bytes_ = s.smallest_bytes;
    }
    return s;
  }

  void keep(const std::vector<size_t>& choice, const std::vector<double>& damage) {
    result_.knapsack.choice = choice;
    result_.knapsack.damage = internal::worst_of(damage);
    result_.group_damage = damage;
  }

  /// From equal weights; steps get shorter where they stop raising the bound.
  void climb() {
    constexpr double kShortest = 1e-3, kClosed = 1e-6;
    constexpr int kPatience = 4;
    const auto groups = static_cast<double>(damages_.size());
    std::vector<double> weights(damages_.size(), 1 / groups);
    double length = 1;
    int without_gain = 0;
    for (int i = 0; i < options_.iterations && length > kShortest; ++i) {
      const double before = bound_;
      KnapsackSolution s = visit(weights);
      const double gap = result_.knapsack.damage - bound_;
      if (!(gap > kClosed * result_.knapsack.damage)) return;
      without_gain = bound_ > before ? 0 : without_gain + 1;
      if (without_gain == kPatience) {
        length /= 2;
        without_gain = 0;
        weights = result_.weights;
        s = visit(weights);
      }
      const double mean = std::accumulate(damage_.begin(), damage_.end(), 0.0) / groups;
      double square = 0;
      for (const double d : damage_) square += (d - mean) * (d - mean);
      if (!(square > 0)) return;
      const double step = length * (result_.knapsack.damage - s.lower_bound) / square;
      for (size_t g = 0; g < weights.size(); ++g) weights[g] += step * (damage_[g] - mean);
      weights = onto_simplex(weights);
    }
  }

  /// Weights alone cannot tell choices between the corners that they reach: exchanges and branching do.
  void close_gap() {
    const KnapsackProblem weighted = weighted_problem(problem_, damages_, result_.weights);
    const std::vector<internal::GroupClass> classes = internal::group_classes(weighted, damages_);
    const uint64_t spare = problem_.budget_bytes - smallest_bytes_;
    const auto take = [&](const std::vector<size_t>& options) {
      const std::vector<size_t> choice = internal::choice_of(classes, weighted, options);
      const std::vector<double> damage = damage_of_groups(damages_, choice);
      if (internal::worst_of(damage) < result_.knapsack.damage) keep(choice, damage);
    };
    if (bound_ < result_.knapsack.damage) {
      std::vector<size_t> options = internal::options_of(classes, weighted, result_.knapsack.choice);
      if (!options.empty()) {
        internal::improve_worst(classes, spare, result_.weights, price_, options);
        take(options);
      }
      const internal::BranchResult found = internal::branch_and_bound(classes, spare, result_.weights, price_,
                                                                      result_.knapsack.damage, options_.branch_nodes);
      if (!found.options.empty()) take(found.options);
      if (found.complete) bound_ = result_.knapsack.damage;
    }
    KnapsackSolution& s = result_.knapsack;
    s.feasible = true;
    s.lower_bound = std::min(bound_, s.damage);
    s.price_per_byte = price_;
    s.smallest_bytes = smallest_bytes_;
    s.nodes = nodes_;
    s.bytes = 0;
    for (size_t i = 0; i < s.choice.size(); ++i) s.bytes += problem_.items[i].candidates[s.choice[i]].bytes;
  }

  const KnapsackProblem& problem_;
  const GroupDamages& damages_;
  const MinimaxOptions& options_;
  MinimaxSolution result_;
  std::vector<double> damage_;  // by group, of the last visit
  double bound_ = 0, price_ = 0;
  uint64_t smallest_bytes_ = 0, nodes_ = 0;
};

}  // namespace

KnapsackProblem weighted_problem(const KnapsackProblem& problem, const GroupDamages& damages,
                                 const std::vector<double>& weights) {
  KnapsackProblem weighted = problem;
  for (size_t i = 0; i < weighted.items.size(); ++i)
    for (size_t c = 0; c < weighted.items[i].candidates.size(); ++c) {
      double& damage = weighted.items[i].candidates[c].damage;
      damage = 0;
      for (size_t g = 0; g < weights.size(); ++g) damage += weights[g] * damages[g][i][c];
    }
  return weighted;
}

std::vector<double> damage_of_groups(const GroupDamages& damages, const std::vector<size_t>& choice) {
  std::vector<double> sums(damages.size());
  for (size_t g = 0; g < damages.size(); ++g)
    for (size_t i = 0; i < choice.size(); ++i) sums[g] += damages[g][i][choice[i]];
  return sums;
}

std::vector<double> least_possible_damage(const KnapsackProblem& problem, const GroupDamages& damages,
                                          const MinimaxOptions& options) {
  check_shape(problem, damages);
  std::vector<double> least;
  for (size_t g = 0; g < damages.size(); ++g) {
    std::vector<double> alone(damages.size());
    alone[g] = 1;
    least.push_back(
        solve_knapsack(weighted_problem(problem, damages, alone), {.max_nodes = options.knapsack_nodes}).lower_bound);
  }
  return least;
}

MinimaxSolution minimize_worst_group(const KnapsackProblem& problem, const GroupDamages& damages,
                                     const MinimaxOptions& options) {
  return Ascent(problem, damages, options).run();
}

}  // namespace vernier
