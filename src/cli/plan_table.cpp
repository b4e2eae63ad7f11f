#include "cli/plan_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/text_table.h"

namespace vernier {

namespace {

std::string plan_table(const Plan& plan, size_t width) {
  TextTable table({"tensor", "scheme", "bytes", "bits/weight", "predicted KL", "reason"});
  for (const PlanEntry& e : plan.entries)
    table.add({e.tensor, e.scheme, fmt::format("{}", e.bytes),
               fmt::format("{:.3f}", 8.0 * static_cast<double>(e.bytes) / static_cast<double>(e.rows * e.cols)),
               std::isnan(e.damage) ? "-" : fmt::format("{:.3g}", e.damage), e.reason});
  return table.str(width);
}

/// The schemes that hold most weights, with their shares: "q4_k 61%, q6_k 30%".
std::string mostly(const Plan& plan) {
  std::map<std::string, int64_t> weights;
  int64_t all = 0;
  for (const PlanEntry& e : plan.entries) {
    weights[e.scheme] += e.rows * e.cols;
    all += e.rows * e.cols;
  }
  std::vector<std::pair<int64_t, std::string>> order;
  for (const auto& [scheme, count] : weights) order.emplace_back(-count, scheme);
  std::sort(order.begin(), order.end());
  constexpr size_t kShown = 3;
  std::string text;
  for (size_t i = 0; i < std::min(kShown, order.size()); ++i)
    text += fmt::format("{}{} {:.0f}%", i == 0 ? "" : ", ", order[i].second,
                        -100.0 * static_cast<double>(order[i].first) / static_cast<double>(all));
  return text;
}

}  // namespace

void print_objective(const PlannedObjective& objective, Console& console) {
  TextTable table({"group", "weight", "predicted KL", "least of any plan"});
  for (const PlannedGroup& group : objective.groups)
    table.add({group.group, fmt::format("{:.3f}", group.weight), fmt::format("{:.5f}", group.kl_nats),
               fmt::format("{:.5f}", group.least_kl_nats)});
  fmt::print(console.out, "\nobjective {}: {:.5f} nats, proven bound {:.5f}\n{}", objective.name, objective.kl_nats,
             objective.lower_bound_kl_nats, table.str(console.width()));
}

void print_front(const PlanFront& front, const Limit* limit, Console& console) {
  std::vector<std::string> head{"bytes", "bits/weight", "predicted KL", "nats saved by the next, a MB", "mostly"};
  if (limit != nullptr) head.insert(head.begin() + 3, {"limit", "times limit"});
  TextTable table(head);
  for (size_t i = 0; i < front.points.size(); ++i) {
    const FrontPoint& point = front.points[i];
    const FrontPoint* next = i + 1 < front.points.size() ? &front.points[i + 1] : nullptr;
    const std::string saved =
        next == nullptr ? "-"
                        : fmt::format("{:.2g}", 1e6 * (point.plan.predicted_kl_nats - next->plan.predicted_kl_nats) /
                                                    static_cast<double>(next->bytes - point.bytes));
    std::vector<std::string> row{fmt::format("{}", point.bytes), fmt::format("{:.3f}", point.bits_per_weight),
                                 fmt::format("{:.3g}", point.plan.predicted_kl_nats), saved, mostly(point.plan)};
    if (limit != nullptr) {
      const double least = limit_kl(*limit, static_cast<double>(point.plan.tensor_bytes));
      row.insert(row.begin() + 3,
                 {fmt::format("{:.3g}", least), fmt::format("{:.3g}", point.plan.predicted_kl_nats / least)});
    }
    table.add(row);
  }
  fmt::print(console.out, "{}", table.str(console.width()));
}

void print_limit_shares(const LimitShares& s, Console& console) {
  fmt::print(
      console.out,
      "limit of any code in these bytes {:.3g} nats; this is {:.3g} times as much = scales {:.2f} x types per tensor "
      "{:.2f} x directions {:.2f} x scalar grid {:.2f} x fixed rate {:.2f} x rounding {:.2f}\n",
      s.limit_nats, s.ratio(), s.scales, s.types, s.directions, s.scalar_grid, s.fixed_rate, s.rounding);
}

void print_fallbacks(const Plan& plan, Console& console) {
  for (const std::string& line : fallback_lines(plan)) fmt::print(console.out, "note: {}\n", line);
}

void print_plan(const Plan& plan, Console& console) {
  fmt::print(console.out, "{}", plan_table(plan, console.width()));
  print_fallbacks(plan, console);
}

}  // namespace vernier
