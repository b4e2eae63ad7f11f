#include "groups/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace vernier {

namespace {

/// Greatest less smallest number; NaN of fewer than two.
double range_of(const std::vector<double>& values) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  int count = 0;
  for (const double value : values)
    if (!std::isnan(value)) low = std::min(low, value), high = std::max(high, value), ++count;
  return count > 1 ? high - low : std::numeric_limits<double>::quiet_NaN();
}

std::vector<double> difference(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> result(a.size());
  for (size_t i = 0; i < a.size(); ++i) result[i] = a[i] - b[i];
  return result;
}

struct BothSums {
  GroupSums reference, model;
};

GroupSums less(GroupSums whole, const GroupSums& part) { return whole -= part; }

}  // namespace

GroupStatistics group_statistics(const FigureValues& values, const std::vector<int32_t>& group_of,
                                 const std::vector<bool>& in_gaps, const std::vector<double>& weights) {
  std::vector<BothSums> sums(in_gaps.size(), {values.zero(), values.zero()});
  for (size_t i = 0; i < group_of.size(); ++i) {
    if (group_of[i] < 0 || weights[i] == 0) continue;
    BothSums& own = sums[static_cast<size_t>(group_of[i])];
    values.add(own.reference, i, weights[i], true);
    values.add(own.model, i, weights[i], false);
  }
  BothSums whole{values.zero(), values.zero()};
  for (const BothSums& own : sums) whole.reference += own.reference, whole.model += own.model;

  GroupStatistics result;
  std::vector<GroupSums> reference_in_gaps, model_in_gaps;
  for (size_t g = 0; g < sums.size(); ++g) {
    GroupStatistics::Values own{values.finish(sums[g].reference), values.finish(sums[g].model), {}, {}};
    own.change = difference(own.model, own.reference);
    const std::vector<double> others = difference(values.finish(less(whole.model, sums[g].model)),
                                                  values.finish(less(whole.reference, sums[g].reference)));
    own.skew = difference(own.change, others);
    result.groups.push_back(std::move(own));
    if (!in_gaps[g] || !values.has_classes()) continue;
    reference_in_gaps.push_back(sums[g].reference);
    model_in_gaps.push_back(sums[g].model);
  }
  const auto range = [&](std::vector<double> GroupStatistics::Values::*member, size_t figure) {
    std::vector<double> of_groups;
    for (size_t g = 0; g < in_gaps.size(); ++g)
      if (in_gaps[g]) of_groups.push_back((result.groups[g].*member)[figure]);
    return range_of(of_groups);
  };
  using Values = GroupStatistics::Values;
  for (size_t f = 0; f < values.rows().size(); ++f)
    result.gaps.push_back({range(&Values::reference, f), range(&Values::model, f), range(&Values::change, f)});
  result.reference_parity = parity_gaps(reference_in_gaps);
  result.model_parity = parity_gaps(model_in_gaps);
  return result;
}

}  // namespace vernier
