#include "plan/minimax_search.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace vernier::internal {

namespace {

constexpr double kGain = 1e-12;  // relative: less is rounding

double priced(const GroupOption& option, const std::vector<double>& weights, double price) {
  double sum = price * static_cast<double>(option.bytes);
  for (size_t g = 0; g < weights.size(); ++g) sum += weights[g] * option.damage[g];
  return sum;
}

/// One class in another option.
struct Exchange {
  size_t owner = 0, option = 0;
  int64_t bytes = 0;           ///< more than now
  std::vector<double> damage;  ///< more than now, by group
  double cost = 0;             ///< by weights and price
};

/// The cheapest ones; the one in front changes nothing.
std::vector<Exchange> exchanges_from(const std::vector<GroupClass>& classes, const std::vector<size_t>& options,
                                     const std::vector<double>& weights, double price) {
  constexpr size_t kMost = 500;
  std::vector<Exchange> all;
  for (size_t c = 0; c < classes.size(); ++c)
    for (size_t o = 0; o < classes[c].options.size(); ++o) {
      if (o == options[c]) continue;
      const GroupOption &from = classes[c].options[options[c]], &to = classes[c].options[o];
      Exchange e{c, o, static_cast<int64_t>(to.bytes) - static_cast<int64_t>(from.bytes), to.damage,
                 priced(to, weights, price) - priced(from, weights, price)};
      for (size_t g = 0; g < e.damage.size(); ++g) e.damage[g] -= from.damage[g];
      all.push_back(std::move(e));
    }
  std::stable_sort(all.begin(), all.end(), [](const Exchange& a, const Exchange& b) { return a.cost < b.cost; });
  if (all.size() > kMost) all.resize(kMost);
  all.insert(all.begin(), {classes.size(), 0, 0, std::vector<double>(weights.size()), 0});
  return all;
}

/// Depth first, over what reduced costs leave open.
class Branching {
 public:
  Branching(const std::vector<GroupClass>& classes, uint64_t spare, const std::vector<double>& weights, double price,
            double cutoff, uint64_t max_nodes)
      : classes_(classes), spare_(spare), cutoff_(cutoff), max_nodes_(max_nodes) {
    bound_ = -price * static_cast<double>(spare);
    std::vector<double> least(classes.size());
    for (size_t c = 0; c < classes.size(); ++c) {
      std::vector<Open>& open = open_.emplace_back();
      for (size_t o = 0; o < classes[c].options.size(); ++o)
        open.push_back({o, priced(classes[c].options[o], weights, price)});
      std::stable_sort(open.begin(), open.end(), [](const Open& a, const Open& b) { return a.excess < b.excess; });
      least[c] = open.front().excess;
      for (Open& o : open) o.excess -= least[c];
      bound_ += least[c];
    }
    order_.resize(classes.size());
    std::iota(order_.begin(), order_.end(), size_t{0});
    // What costs most to change is decided first: there a branch ends soonest.
    const auto second = [&](size_t c) { return open_[c].size() > 1 ? open_[c][1].excess : INFINITY; };
    std::stable_sort(order_.begin(), order_.end(), [&](size_t a, size_t b) { return second(a) > second(b); });
    const size_t groups = weights.size();
    least_bytes_.assign(classes.size() + 1, 0);
    least_damage_.assign(classes.size() + 1, std::vector<double>(groups));
    for (size_t level = classes.size(); level-- > 0;) {
      const std::vector<GroupOption>& options = classes[order_[level]].options;
      uint64_t bytes = UINT64_MAX;
      std::vector<double> damage(groups, INFINITY);
      for (const GroupOption& o : options) {
        bytes = std::min(bytes, o.bytes);
        for (size_t g = 0; g < groups; ++g) damage[g] = std::min(damage[g], o.damage[g]);
      }
      least_bytes_[level] = least_bytes_[level + 1] + bytes;
      for (size_t g = 0; g < groups; ++g) least_damage_[level][g] = least_damage_[level + 1][g] + damage[g];
    }
    chosen_.resize(classes.size());
    damage_.assign(classes.size() + 1, std::vector<double>(groups));
  }

  BranchResult run() {
    const bool complete = visit(0, 0, bound_);
    return {complete, std::move(best_)};
  }

 private:
  struct Open {
    size_t option = 0;
    double excess = 0;  ///< over the cheapest of its class
  };

  bool too_much(double value) const { return value >= cutoff_ * (1 - kGain); }

  /// False when there are no nodes left.
  bool visit(size_t level, uint64_t bytes, double bound) {
    if (level == classes_.size()) {
      cutoff_ = worst_of(damage_[level]);
      best_ = chosen_;
      return true;
    }
    const size_t c = order_[level];
    for (const Open& open : open_[c]) {
      if (too_much(bound + open.excess)) break;
      if (++nodes_ > max_nodes_) return false;
      const GroupOption& option = classes_[c].options[open.option];
      if (bytes + option.bytes + least_bytes_[level + 1] > spare_) continue;
      bool hopeless = false;
      for (size_t g = 0; g < option.damage.size(); ++g) {
        damage_[level + 1][g] = damage_[level][g] + option.damage[g];
        hopeless |= too_much(damage_[level + 1][g] + least_damage_[level + 1][g]);
      }
      if (hopeless) continue;
      chosen_[c] = open.option;
      if (!visit(level + 1, bytes + option.bytes, bound + open.excess)) return false;
    }
    return true;
  }

  const std::vector<GroupClass>& classes_;
  uint64_t spare_;
  double cutoff_, bound_ = 0;
  uint64_t max_nodes_, nodes_ = 0;
  std::vector<std::vector<Open>> open_;
  std::vector<size_t> order_, chosen_, best_;
  std::vector<uint64_t> least_bytes_;              // from a level on
  std::vector<std::vector<double>> least_damage_;  // from a level on, by group
  std::vector<std::vector<double>> damage_;        // before a level, by group
};

}  // namespace

double worst_of(const std::vector<double>& damage) { return *std::max_element(damage.begin(), damage.end()); }

std::vector<double> group_sums(const std::vector<GroupClass>& classes, const std::vector<size_t>& options) {
  std::vector<double> sums(classes.front().options.front().damage.size());
  for (size_t c = 0; c < classes.size(); ++c)
    for (size_t g = 0; g < sums.size(); ++g) sums[g] += classes[c].options[options[c]].damage[g];
  return sums;
}

void improve_worst(const std::vector<GroupClass>& classes, uint64_t spare_bytes, const std::vector<double>& weights,
                   double price, std::vector<size_t>& options) {
  constexpr int kMaxRounds = 16;
  for (int round = 0; round < kMaxRounds; ++round) {
    const std::vector<double> now = group_sums(classes, options);
    auto spare = static_cast<int64_t>(spare_bytes);
    for (size_t c = 0; c < classes.size(); ++c) spare -= static_cast<int64_t>(classes[c].options[options[c]].bytes);
    const std::vector<Exchange> exchanges = exchanges_from(classes, options, weights, price);
    double best = worst_of(now) * (1 - kGain);
    const Exchange *first = nullptr, *second = nullptr;
    for (size_t i = 0; i < exchanges.size(); ++i)
      for (size_t j = i + 1; j < exchanges.size(); ++j) {
        const Exchange &a = exchanges[i], &b = exchanges[j];
        if (a.owner == b.owner || a.bytes + b.bytes > spare) continue;
        double worst = 0;
        for (size_t g = 0; g < now.size() && worst < best; ++g)
          worst = std::max(worst, now[g] + a.damage[g] + b.damage[g]);
        if (worst >= best) continue;
        best = worst;
        first = &a;
        second = &b;
      }
    if (first == nullptr) return;
    for (const Exchange* e : {first, second})
      if (e->owner < classes.size()) options[e->owner] = e->option;
  }
}

BranchResult branch_and_bound(const std::vector<GroupClass>& classes, uint64_t spare_bytes,
                              const std::vector<double>& weights, double price, double cutoff, uint64_t max_nodes) {
  return Branching(classes, spare_bytes, weights, price, cutoff, max_nodes).run();
}

}  // namespace vernier::internal
