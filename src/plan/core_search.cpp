#include "plan/core_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace vernier::internal {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kRounding = 1e-12;  // relative: sums of thousands of doubles agree to about 1e-13

/// From one hull option of a class to the next.
struct HullStep {
  size_t owner = 0;  ///< the class, or its place in the order of the search
  uint32_t to = 0;
  uint64_t bytes = 0;
  double damage = 0;  ///< saved by the step
  double slope() const { return damage / static_cast<double>(bytes); }
};

HullStep make_step(const ChoiceClass& c, size_t owner, size_t hull_index) {
  const Option& from = c.options[c.hull[hull_index]];
  const Option& to = c.options[c.hull[hull_index + 1]];
  return {owner, c.hull[hull_index + 1], to.bytes - from.bytes, from.damage - to.damage};
}

/// Steepest first; within a class the hull's order, because its slopes fall.
void sort_steps(std::vector<HullStep>& steps) {
  std::stable_sort(steps.begin(), steps.end(),
                   [](const HullStep& a, const HullStep& b) { return a.slope() > b.slope(); });
}

/// Piecewise linear: what the undecided classes can still do, in the linear relaxation, as prefix sums over their hull
/// steps.
struct Completion {
  std::vector<double> up_bytes{0}, up_gain{0}, down_bytes{0}, down_loss{0};

  static double at(const std::vector<double>& bytes, const std::vector<double>& value, double x, double beyond) {
    if (x >= bytes.back()) return x <= bytes.back() * (1 + kRounding) ? value.back() : beyond;  // sums are rounded
    const size_t i = static_cast<size_t>(std::upper_bound(bytes.begin(), bytes.end(), x) - bytes.begin());
    return value[i - 1] + (value[i] - value[i - 1]) * ((x - bytes[i - 1]) / (bytes[i] - bytes[i - 1]));
  }
  /// The most that spare bytes can save, or (negative) the least that bytes over the budget must cost.
  double gain(int64_t spare) const {
    if (spare >= 0) return at(up_bytes, up_gain, static_cast<double>(spare), up_gain.back());
    return -at(down_bytes, down_loss, -static_cast<double>(spare), kInfinity);
  }
};

class CoreSearch {
 public:
  CoreSearch(const std::vector<ChoiceClass>& classes, const Relaxation& relaxation, const ClassChoice& incumbent,
             const KnapsackOptions& options)
      : classes_(classes),
        relaxation_(relaxation),
        options_(options),
        incumbent_(incumbent),
        best_(total_damage(classes, incumbent)) {
    order_classes();
  }

  SearchResult run();

 private:
  struct Move {
    uint32_t option = 0;
    int64_t bytes = 0;  ///< against the base option
    double damage = 0;
    double penalty = 0;  ///< damage + price * bytes: what the move costs at the budget's price, >= 0
  };
  struct Ordered {
    size_t index = 0;  ///< of the class
    std::vector<Move> moves;
    double least_penalty = 0;
  };
  struct State {
    int64_t spare = 0;   ///< bytes left, undecided classes at their base; negative: they must still shrink
    double damage = 0;   ///< likewise
    double bound = 0;    ///< of all completions
    uint32_t trail = 0;  ///< how it was reached
  };
  struct Trail {
    uint32_t parent = 0;
    uint32_t option = 0;
  };

  void order_classes();
  double cutoff() const { return best_ - std::max(kRounding, options_.relative_gap) * best_; }
  /// Classes from here on cannot leave their base in any choice worth finding.
  size_t frozen_from() const;
  Completion completion_after(size_t level, size_t end, int64_t most_spare) const;
  void expand(size_t level, const Completion& completion);
  void cut_to(size_t width);
  ClassChoice best_choice() const;

  const std::vector<ChoiceClass>& classes_;
  const Relaxation& relaxation_;
  const KnapsackOptions& options_;
  const ClassChoice& incumbent_;
  double best_;
  size_t best_level_ = 0;
  uint32_t best_trail_ = 0;
  bool found_ = false;

  std::vector<Ordered> order_;
  std::vector<HullStep> ups_;    ///< above the base, steepest first; owner is the place in order_
  std::vector<HullStep> downs_;  ///< below the base, flattest first
  std::vector<State> states_;    ///< by falling spare, falling damage
  std::vector<State> next_;
  std::vector<Trail> trails_;
  double open_bound_ = kInfinity;  ///< least bound of what was dropped without proof
  uint64_t nodes_ = 0;
};

void CoreSearch::order_classes() {
  for (size_t index = 0; index < classes_.size(); ++index) {
    const ChoiceClass& c = classes_[index];
    if (c.options.size() < 2) continue;
    const Option& base = c.options[relaxation_.base[index]];
    Ordered ordered{.index = index, .moves = {{relaxation_.base[index], 0, 0, 0}}, .least_penalty = kInfinity};
    for (uint32_t i = 0; i < c.options.size(); ++i) {
      if (i == relaxation_.base[index]) continue;
      const int64_t bytes = static_cast<int64_t>(c.options[i].bytes) - static_cast<int64_t>(base.bytes);
      const double damage = c.options[i].damage - base.damage;
      const double penalty = std::max(0.0, damage + relaxation_.price * static_cast<double>(bytes));
      ordered.moves.push_back({i, bytes, damage, penalty});
      ordered.least_penalty = std::min(ordered.least_penalty, penalty);
    }
    order_.push_back(std::move(ordered));
  }
  std::stable_sort(order_.begin(), order_.end(),
                   [](const Ordered& a, const Ordered& b) { return a.least_penalty < b.least_penalty; });
  for (size_t place = 0; place < order_.size(); ++place) {
    const ChoiceClass& c = classes_[order_[place].index];
    for (size_t h = 0; h + 1 < c.hull.size(); ++h) {
      const bool is_up = c.hull[h] >= relaxation_.base[order_[place].index];
      (is_up ? ups_ : downs_).push_back(make_step(c, place, h));
    }
  }
  sort_steps(ups_);
  sort_steps(downs_);
  std::reverse(downs_.begin(), downs_.end());
}

size_t CoreSearch::frozen_from() const {
  const double limit = cutoff() - relaxation_.bound;
  return static_cast<size_t>(
      std::partition_point(order_.begin(), order_.end(), [&](const Ordered& o) { return o.least_penalty < limit; }) -
      order_.begin());
}

Completion CoreSearch::completion_after(size_t level, size_t end, int64_t most_spare) const {
  Completion completion;
  const auto collect = [&](const std::vector<HullStep>& steps, double reach, std::vector<double>& bytes,
                           std::vector<double>& damage) {
    for (const HullStep& step : steps) {
      if (step.owner <= level || step.owner >= end) continue;
      if (bytes.back() > reach) break;
      bytes.push_back(bytes.back() + static_cast<double>(step.bytes));
      damage.push_back(damage.back() + step.damage);
    }
  };
  collect(ups_, static_cast<double>(most_spare), completion.up_bytes, completion.up_gain);
  collect(downs_, kInfinity, completion.down_bytes, completion.down_loss);
  return completion;
}

/// Merges the shifted copies of states_, one per move, in order of falling spare.
void CoreSearch::expand(size_t level, const Completion& completion) {
  struct Stream {
    const Move* move;
    size_t position;
  };
  std::vector<Stream> streams;
  for (const Move& move : order_[level].moves)
    if (relaxation_.bound + move.penalty < cutoff() || move.option == relaxation_.base[order_[level].index])
      streams.push_back({&move, 0});
  next_.clear();
  double least_damage = kInfinity;
  while (true) {
    Stream* first = nullptr;
    int64_t spare = 0;
    double damage = 0;
    for (Stream& stream : streams) {
      if (stream.position == states_.size()) continue;
      const State& state = states_[stream.position];
      const int64_t s = state.spare - stream.move->bytes;
      const double d = state.damage + stream.move->damage;
      if (first == nullptr || s > spare || (s == spare && d < damage)) {
        first = &stream;
        spare = s;
        damage = d;
      }
    }
    if (first == nullptr) break;
    const uint32_t parent = states_[first->position++].trail;
    ++nodes_;
    if (damage >= least_damage) continue;  // an earlier one is as small and as good
    least_damage = damage;
    const double bound = damage - completion.gain(spare);
    if (bound >= cutoff()) continue;
    next_.push_back({spare, damage, bound, static_cast<uint32_t>(trails_.size())});
    trails_.push_back({parent, first->move->option});
    if (spare >= 0 && damage < best_) {
      best_ = damage;
      best_level_ = level;
      best_trail_ = next_.back().trail;
      found_ = true;
    }
  }
  states_.swap(next_);
}

/// Keeps the most promising states; what goes is remembered in open_bound_.
void CoreSearch::cut_to(size_t width) {
  if (states_.size() <= width) return;
  std::vector<double> bounds(states_.size());
  std::transform(states_.begin(), states_.end(), bounds.begin(), [](const State& s) { return s.bound; });
  std::nth_element(bounds.begin(), bounds.begin() + static_cast<ptrdiff_t>(width), bounds.end());
  const double limit = bounds[width];
  open_bound_ = std::min(open_bound_, limit);
  const auto below = std::count_if(states_.begin(), states_.end(), [&](const State& s) { return s.bound < limit; });
  size_t equal_kept = width - static_cast<size_t>(below);  // bounds are often equal: those with most spare bytes stay
  std::erase_if(states_, [&](const State& s) {
    if (s.bound == limit && equal_kept > 0) return --equal_kept, false;
    return s.bound >= limit;
  });
}

ClassChoice CoreSearch::best_choice() const {
  if (!found_) return incumbent_;
  ClassChoice choice = relaxation_.base;
  uint32_t trail = best_trail_;
  for (size_t level = best_level_ + 1; level-- > 0; trail = trails_[trail].parent)
    choice[order_[level].index] = trails_[trail].option;
  return choice;
}

SearchResult CoreSearch::run() {
  states_.push_back(
      {static_cast<int64_t>(relaxation_.spare), total_damage(classes_, relaxation_.base), relaxation_.bound, 0});
  trails_.push_back({});
  for (size_t level = 0; level < frozen_from() && !states_.empty(); ++level) {
    const uint64_t moves = order_[level].moves.size();
    cut_to(std::max<size_t>(1, options_.max_nodes / (8 * moves)));
    if (nodes_ + states_.size() * moves > options_.max_nodes) {
      for (const State& state : states_) open_bound_ = std::min(open_bound_, state.bound);
      break;
    }
    int64_t most_spare = states_.front().spare;
    for (const Move& move : order_[level].moves) most_spare = std::max(most_spare, states_.front().spare - move.bytes);
    expand(level, completion_after(level, frozen_from(), most_spare));
  }
  SearchResult result{.choice = best_choice(), .lower_bound = 0, .nodes = nodes_};
  const double damage = total_damage(classes_, result.choice);
  // Everything pruned was at least best * (1 - gap); what was dropped unproven is in open_bound_.
  const double proven = std::min(damage * (1 - options_.relative_gap), open_bound_);
  result.lower_bound = std::min(damage, std::max(relaxation_.bound, proven));
  return result;
}

}  // namespace

double total_damage(const std::vector<ChoiceClass>& classes, const ClassChoice& choice) {
  long double total = 0;
  for (size_t i = 0; i < classes.size(); ++i) total += classes[i].options[choice[i]].damage;
  return static_cast<double>(total);
}

uint64_t total_bytes(const std::vector<ChoiceClass>& classes, const ClassChoice& choice) {
  uint64_t total = 0;
  for (size_t i = 0; i < classes.size(); ++i) total = saturating_add(total, classes[i].options[choice[i]].bytes);
  return total;
}

Relaxation relax(const std::vector<ChoiceClass>& classes, uint64_t spare_bytes) {
  Relaxation result{.base = ClassChoice(classes.size(), 0), .spare = spare_bytes};
  std::vector<HullStep> steps;
  for (size_t i = 0; i < classes.size(); ++i)
    for (size_t h = 0; h + 1 < classes[i].hull.size(); ++h) steps.push_back(make_step(classes[i], i, h));
  sort_steps(steps);
  for (const HullStep& step : steps) {
    if (step.bytes > result.spare) {
      result.price = step.slope();
      break;
    }
    result.spare -= step.bytes;
    result.base[step.owner] = step.to;
  }
  const double damage = total_damage(classes, result.base);
  // Below the relaxation's value by more than its rounding, so that it is a bound in floating point, too.
  result.bound = std::max(0.0, damage - result.price * static_cast<double>(result.spare) - kRounding * damage);
  return result;
}

SearchResult search_core(const std::vector<ChoiceClass>& classes, const Relaxation& relaxation,
                         const ClassChoice& incumbent, const KnapsackOptions& options) {
  return CoreSearch(classes, relaxation, incumbent, options).run();
}

}  // namespace vernier::internal
