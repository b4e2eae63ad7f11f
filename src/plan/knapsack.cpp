#include <algorithm>
#include <limits>
#include <map>
#include <numeric>

#include "base/fail.h"
#include "plan/choice_class.h"
#include "plan/core_search.h"
#include "vernier/plan.h"

namespace vernier {
namespace {

using internal::ChoiceClass;
using internal::ClassChoice;
using internal::Option;
using internal::Relaxation;

constexpr uint64_t kMaxSpareBytes = uint64_t{1} << 61;  // differences and sums of two fit an int64
constexpr uint64_t kMaxNodes = uint64_t{1} << 31;       // the search's trail is indexed by 32 bits

/// Raises classes from `choice` along their hulls, steepest step first, leaving out what does not fit.
void fill_greedily(const std::vector<ChoiceClass>& classes, const std::vector<bool>& frozen, uint64_t spare,
                   ClassChoice& choice) {
  struct Step {
    double slope;
    size_t index;
    uint32_t from, to;
  };
  std::vector<Step> steps;
  for (size_t i = 0; i < classes.size(); ++i) {
    if (frozen[i]) continue;
    const auto& c = classes[i];
    for (size_t h = 0; h + 1 < c.hull.size(); ++h) {
      const Option &from = c.options[c.hull[h]], &to = c.options[c.hull[h + 1]];
      steps.push_back(
          {(from.damage - to.damage) / static_cast<double>(to.bytes - from.bytes), i, c.hull[h], c.hull[h + 1]});
    }
  }
  std::stable_sort(steps.begin(), steps.end(), [](const Step& a, const Step& b) { return a.slope > b.slope; });
  for (const Step& step : steps) {
    const auto& options = classes[step.index].options;
    const uint64_t bytes = options[step.to].bytes - options[step.from].bytes;
    if (choice[step.index] != step.from || bytes > spare) continue;
    choice[step.index] = step.to;
    spare -= bytes;
  }
}

/// The same scheme wherever it is available, the rest filled greedily; one choice per scheme that fits.
std::vector<ClassChoice> uniform_choices(const KnapsackProblem& problem, const std::vector<ChoiceClass>& classes,
                                         uint64_t spare) {
  struct Uniform {
    ClassChoice choice;
    std::vector<bool> frozen;
    uint64_t bytes = 0;
  };
  std::map<std::string, Uniform> by_scheme;
  for (size_t i = 0; i < classes.size(); ++i)
    for (const Option& option : classes[i].available) {
      Uniform& uniform = by_scheme[problem.items[classes[i].members.front()].candidates[option.candidate].scheme];
      uniform.choice.resize(classes.size(), 0);
      uniform.frozen.resize(classes.size(), false);
      uniform.frozen[i] = true;
      uniform.bytes = internal::saturating_add(uniform.bytes, option.bytes);
      // The largest undominated option of at most these bytes: the scheme itself, or one that is at least as good.
      const auto& options = classes[i].options;
      const auto above = std::upper_bound(options.begin(), options.end(), option.bytes,
                                          [](uint64_t bytes, const Option& o) { return bytes < o.bytes; });
      uniform.choice[i] = static_cast<uint32_t>(above - options.begin() - 1);
    }
  std::vector<ClassChoice> choices;
  for (auto& [scheme, uniform] : by_scheme) {
    if (uniform.bytes > spare) continue;
    fill_greedily(classes, uniform.frozen, spare - internal::total_bytes(classes, uniform.choice), uniform.choice);
    choices.push_back(std::move(uniform.choice));
  }
  return choices;
}

/// Local improvement: while a raise into spare bytes, or one paid by lowering another class, saves damage, the best
/// such is done.
void improve(const std::vector<ChoiceClass>& classes, uint64_t spare_bytes, ClassChoice& choice) {
  constexpr int kMaxMoves = 32;
  struct Move {
    size_t index;
    uint32_t option;
    uint64_t bytes;  ///< taken by a raise, freed by a drop
    double damage;   ///< saved by a raise, added by a drop
  };
  struct Best {
    const Move *first = nullptr, *second = nullptr;  ///< of different classes
  };
  for (int round = 0; round < kMaxMoves; ++round) {
    const uint64_t spare = spare_bytes - internal::total_bytes(classes, choice);
    std::vector<Move> raises, drops{{classes.size(), 0, 0, 0}};  // dropping nothing is the plain raise
    for (size_t i = 0; i < classes.size(); ++i) {
      const auto& options = classes[i].options;
      const Option& now = options[choice[i]];
      for (uint32_t o = 0; o < options.size(); ++o) {
        if (o > choice[i]) raises.push_back({i, o, options[o].bytes - now.bytes, now.damage - options[o].damage});
        if (o < choice[i]) drops.push_back({i, o, now.bytes - options[o].bytes, options[o].damage - now.damage});
      }
    }
    std::stable_sort(raises.begin(), raises.end(), [](const Move& a, const Move& b) { return a.bytes < b.bytes; });
    std::vector<Best> best(raises.size());
    for (size_t r = 0; r < raises.size(); ++r) {
      Best b = r == 0 ? Best{} : best[r - 1];
      const Move* move = &raises[r];
      if (b.first == nullptr || move->damage > b.first->damage) {
        if (b.first != nullptr && b.first->index != move->index) b.second = b.first;
        b.first = move;
      } else if (move->index != b.first->index && (b.second == nullptr || move->damage > b.second->damage)) {
        b.second = move;
      }
      best[r] = b;
    }
    const Move *raise = nullptr, *drop = nullptr;
    double saved = 0;
    for (const Move& candidate : drops) {
      const uint64_t room = spare + candidate.bytes;
      const auto end =
          std::upper_bound(raises.begin(), raises.end(), room, [](uint64_t b, const Move& m) { return b < m.bytes; });
      if (end == raises.begin()) continue;
      const Best& b = best[static_cast<size_t>(end - raises.begin()) - 1];
      const Move* partner = b.first->index != candidate.index ? b.first : b.second;
      if (partner == nullptr || partner->damage - candidate.damage <= saved) continue;
      saved = partner->damage - candidate.damage;
      raise = partner;
      drop = &candidate;
    }
    if (raise == nullptr) return;
    choice[raise->index] = raise->option;
    if (drop->index < classes.size()) choice[drop->index] = drop->option;
  }
}

ClassChoice first_choice(const KnapsackProblem& problem, const std::vector<ChoiceClass>& classes,
                         const Relaxation& relaxation, uint64_t spare) {
  ClassChoice best = relaxation.base;
  fill_greedily(classes, std::vector<bool>(classes.size(), false), relaxation.spare, best);
  for (ClassChoice& uniform : uniform_choices(problem, classes, spare))
    if (internal::total_damage(classes, uniform) < internal::total_damage(classes, best)) best = std::move(uniform);
  improve(classes, spare, best);
  return best;
}

void write_choice(const KnapsackProblem& problem, const std::vector<ChoiceClass>& classes, const ClassChoice& choice,
                  KnapsackSolution& solution) {
  solution.choice.resize(problem.items.size());
  for (size_t i = 0; i < classes.size(); ++i) {
    const PlanItem& first = problem.items[classes[i].members.front()];
    const std::string& scheme = first.candidates[classes[i].options[choice[i]].candidate].scheme;
    for (const size_t member : classes[i].members) {
      const auto& candidates = problem.items[member].candidates;
      const auto it =
          std::find_if(candidates.begin(), candidates.end(), [&](const Candidate& c) { return c.scheme == scheme; });
      solution.choice[member] = static_cast<size_t>(it - candidates.begin());
    }
  }
  solution.bytes = solution.smallest_bytes + internal::total_bytes(classes, choice);
  solution.damage = internal::total_damage(classes, choice);
}

}  // namespace

KnapsackSolution solve_knapsack(const KnapsackProblem& problem, const KnapsackOptions& options) {
  if (!(options.relative_gap >= 0 && options.relative_gap <= 1))
    fail(ErrorKind::kInvalidArgument, "plan: expected a relative gap in [0, 1], got {}", options.relative_gap);
  if (options.max_nodes > kMaxNodes)
    fail(ErrorKind::kInvalidArgument, "plan: expected at most {} nodes, got {}", kMaxNodes, options.max_nodes);
  std::vector<ChoiceClass> classes = internal::make_classes(problem);
  KnapsackSolution solution;
  for (const ChoiceClass& c : classes)
    solution.smallest_bytes = internal::saturating_add(solution.smallest_bytes, c.smallest_bytes);
  if (solution.smallest_bytes > problem.budget_bytes || solution.smallest_bytes == std::numeric_limits<uint64_t>::max())
    return solution;
  solution.feasible = true;
  const uint64_t spare = problem.budget_bytes - solution.smallest_bytes;

  ClassChoice choice(classes.size());
  for (size_t i = 0; i < classes.size(); ++i) choice[i] = static_cast<uint32_t>(classes[i].options.size() - 1);
  if (internal::total_bytes(classes, choice) <= spare) {  // the budget does not bind
    write_choice(problem, classes, choice, solution);
    solution.lower_bound = solution.damage;
    return solution;
  }
  if (spare > kMaxSpareBytes)
    fail(ErrorKind::kInvalidArgument, "plan: a budget of {} bytes that still binds is beyond any file",
         problem.budget_bytes);
  internal::restrict_and_hull(classes, spare);
  const Relaxation relaxation = internal::relax(classes, spare);
  const internal::SearchResult found =
      internal::search_core(classes, relaxation, first_choice(problem, classes, relaxation, spare), options);
  write_choice(problem, classes, found.choice, solution);
  solution.lower_bound = found.lower_bound;
  solution.price_per_byte = relaxation.price;
  solution.nodes = found.nodes;
  return solution;
}

}  // namespace vernier
