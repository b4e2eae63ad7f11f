#include "groups/partition_analysis.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <set>

#include "base/statistics.h"
#include "groups/resample.h"
#include "groups/spread_interval.h"
#include "groups/verdict.h"

namespace vernier {

namespace {

constexpr double kParityTolerance = 0.01;

GroupValue group_value(const GroupProblem& problem, const FigureRow& row, const GroupStatistics::Values& observed,
                       size_t f, const std::vector<double>& change, const std::vector<double>& skew,
                       std::vector<double> null, double adjusted_null_p, int64_t clusters, size_t groups) {
  const GroupOptions& options = problem.options;
  GroupValue value{observed.reference[f], observed.model[f], {observed.change[f], {}}, {observed.skew[f], {}}, {}, 1};
  value.null_p = two_sided_p(null, value.change.value);
  null = sorted_numbers(std::move(null));
  value.null = {quantile_of_sorted(null, (1 - options.confidence) / 2),
                quantile_of_sorted(null, (1 + options.confidence) / 2)};
  // Few clusters repeat each other in every draw: no interval is better than one that is too narrow.
  const int64_t known = clusters < options.min_clusters ? 0 : clusters;
  const double each = 1 - (1 - options.confidence) / static_cast<double>(groups);  // so that all hold at once
  const auto unseen = [&](double confidence) {
    return known > 0 && row.facts.unit == "share" ? unseen_share(change, confidence, known) : 0;
  };
  value.change.interval = widened(bootstrap_interval(change, options.confidence, known), unseen(options.confidence));
  value.skew.interval = widened(bootstrap_interval(skew, each, known), unseen(each));
  const double tolerance = problem.tolerance_of(row.facts.key, row.facts.tolerance);
  value.change.verdict = judge(value.change.interval, row.facts.worse, tolerance);
  value.skew.verdict = judge(value.skew.interval, row.facts.worse, tolerance);
  if (value.skew.verdict == Verdict::kExceeds && adjusted_null_p > 1 - options.confidence)
    value.skew.verdict = Verdict::kUndecided;
  return value;
}

/// The group whose number is the worst one; "" where none is worse than another.
std::string worst_of(const std::vector<GroupResult>& groups, const std::vector<bool>& in_gaps, const FigureRow& row,
                     double (*number)(const GroupValue&)) {
  const GroupResult* worst = nullptr;
  double most = 0;
  for (size_t g = 0; g < groups.size(); ++g) {
    const double value = number(groups[g].figures.at(std::string(row.facts.key)));
    if (!in_gaps[g] || std::isnan(value)) continue;
    const double harm = row.facts.worse == Worse::kNeither ? std::abs(value)
                        : row.facts.worse == Worse::kLower ? -value
                                                           : value;
    if (worst == nullptr || harm > most) worst = &groups[g], most = harm;
  }
  return worst == nullptr ? "" : worst->name;
}

GroupGap group_gap(const GroupProblem& problem, const FigureRow& row, const GroupStatistics::Gap& observed,
                   const SpreadGroups& changes, std::vector<double> null, const AttributeResult& result,
                   const std::vector<bool>& in_gaps) {
  GroupGap gap{observed.reference, observed.model, {observed.spread, {}}, 0, 1, "", ""};
  gap.null_p = upper_p(null, observed.spread);
  null = sorted_numbers(std::move(null));
  gap.null_95 = quantile_of_sorted(null, 0.95);
  gap.spread.interval = spread_interval(changes, problem.options.confidence, row.facts.unit == "share");
  const double tolerance = problem.tolerance_of(row.facts.key, row.facts.tolerance);
  gap.spread.verdict = judge(gap.spread.interval, Worse::kHigher, tolerance);
  if (gap.spread.verdict == Verdict::kExceeds && gap.null_p > 1 - problem.options.confidence)
    gap.spread.verdict = Verdict::kUndecided;
  gap.most_damaged = worst_of(result.groups, in_gaps, row, [](const GroupValue& v) { return v.change.value; });
  if (row.facts.worse != Worse::kNeither)
    gap.worst = worst_of(result.groups, in_gaps, row, [](const GroupValue& v) { return v.model; });
  return gap;
}

ParityGap parity_gap(const GroupProblem& problem, std::string_view key, double reference, double model,
                     const std::vector<double>& draws, const std::vector<double>& null, int64_t fewest_clusters) {
  constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
  ParityGap gap{reference, model, {model - reference, {}}, null.empty() ? kUnknown : upper_p(null, model - reference)};
  // Where no draw changes it, as far as two groups of the fewest clusters can differ without that being seen.
  const double confidence = problem.options.confidence;
  gap.change.interval = widened(bootstrap_interval(draws, confidence, fewest_clusters),
                                2 * unseen_share(draws, confidence, 2 * fewest_clusters));
  gap.change.verdict = judge(gap.change.interval, Worse::kHigher, problem.tolerance_of(key, kParityTolerance));
  if (gap.change.verdict == Verdict::kExceeds && !(gap.null_p <= 1 - problem.options.confidence))
    gap.change.verdict = Verdict::kUndecided;
  return gap;
}

/// Whether every group's examples are all of one class, so that exchanging groups would exchange classes.
bool groups_are_classes(const FigureValues& values, const Partition& partition) {
  std::vector<int32_t> class_of(partition.groups.size(), -1);
  for (size_t i = 0; i < partition.group_of.size(); ++i) {
    if (partition.group_of[i] < 0) continue;
    int32_t& own = class_of[static_cast<size_t>(partition.group_of[i])];
    if (own >= 0 && own != values.label(i)) return false;
    own = values.label(i);
  }
  return true;
}

}  // namespace

AttributeResult analyse_partition(const GroupProblem& problem, const Partition& partition) {
  const GroupOptions& options = problem.options;
  const size_t groups = partition.groups.size(), figures = problem.values.rows().size();
  AttributeResult result{partition.name, {}, {}, {}};
  std::vector<std::set<int32_t>> clusters(groups);
  for (const std::string& group : partition.groups) result.groups.push_back({group, 0, 0, 0, {}});
  for (size_t i = 0; i < partition.group_of.size(); ++i) {
    if (partition.group_of[i] < 0) continue;
    const auto g = static_cast<size_t>(partition.group_of[i]);
    ++result.groups[g].examples;
    result.groups[g].weight += problem.weights[i];
    clusters[g].insert(problem.clusters[i]);
  }
  std::vector<bool> in_gaps;
  int64_t fewest = std::numeric_limits<int64_t>::max();
  for (size_t g = 0; g < groups; ++g) {
    result.groups[g].clusters = static_cast<int64_t>(clusters[g].size());
    in_gaps.push_back(result.groups[g].clusters >= options.min_clusters);
    if (in_gaps.back()) fewest = std::min(fewest, result.groups[g].clusters);
  }

  const auto statistics = [&](const std::vector<int32_t>& group_of, const std::vector<double>& weights) {
    return group_statistics(problem.values, group_of, in_gaps, weights);
  };
  const GroupStatistics observed = statistics(partition.group_of, problem.weights);
  Draws draws(groups, figures), null(groups, figures);
  Bootstrap bootstrap(problem.weights, problem.clusters, options.seed);
  for (int draw = 0; draw < options.bootstrap_draws; ++draw)
    draws.add(statistics(partition.group_of, bootstrap.draw()), true);
  LabelPermuter permuter(partition, problem.clusters);
  std::mt19937_64 random(options.seed);
  for (int draw = 0; draw < options.null_draws && groups > 1; ++draw)
    null.add(statistics(permuter.permute(random), problem.weights), false);

  for (size_t f = 0; f < figures; ++f) {
    const FigureRow& row = *problem.values.rows()[f];
    std::vector<double> changes;
    std::vector<std::vector<double>> nulls;
    for (size_t g = 0; g < groups; ++g) {
      changes.push_back(observed.groups[g].change[f]);
      nulls.push_back(null.change[g][f]);
    }
    const std::vector<double> adjusted = adjusted_p(nulls, changes);
    for (size_t g = 0; g < groups; ++g)
      result.groups[g].figures[std::string(row.facts.key)] =
          group_value(problem, row, observed.groups[g], f, draws.change[g][f], draws.skew[g][f], null.change[g][f],
                      adjusted[g], result.groups[g].clusters, groups);
  }
  if (std::count(in_gaps.begin(), in_gaps.end(), true) < 2) return result;
  for (size_t f = 0; f < figures; ++f) {
    const FigureRow& row = *problem.values.rows()[f];
    SpreadGroups changes;
    for (size_t g = 0; g < groups; ++g) {
      if (!in_gaps[g]) continue;
      changes.changes.push_back(observed.groups[g].change[f]);
      changes.draws.push_back(&draws.change[g][f]);
      changes.clusters.push_back(result.groups[g].clusters);
    }
    result.gaps[std::string(row.facts.key)] =
        group_gap(problem, row, observed.gaps[f], changes, null.spread[f], result, in_gaps);
  }
  if (!problem.values.has_classes()) return result;
  if (groups_are_classes(problem.values, partition)) null.demographic_parity.clear(), null.equalized_odds.clear();
  const ParityGaps &reference = observed.reference_parity, &model = observed.model_parity;
  result.parity["demographic_parity"] =
      parity_gap(problem, "demographic_parity", reference.demographic_parity, model.demographic_parity,
                 draws.demographic_parity, null.demographic_parity, fewest);
  result.parity["equalized_odds"] = parity_gap(problem, "equalized_odds", reference.equalized_odds,
                                               model.equalized_odds, draws.equalized_odds, null.equalized_odds, fewest);
  return result;
}

}  // namespace vernier
