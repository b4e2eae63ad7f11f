#include "cli/plan_table.h"

#include <fmt/format.h>

#include "base/text_table.h"

namespace vernier {

namespace {

std::string plan_table(const Plan& plan, size_t width) {
  TextTable table({"tensor", "scheme", "bytes", "bits/weight", "predicted KL", "reason"});
  for (const PlanEntry& e : plan.entries)
    table.add({e.tensor, e.scheme, fmt::format("{}", e.bytes),
               fmt::format("{:.3f}", 8.0 * static_cast<double>(e.bytes) / static_cast<double>(e.rows * e.cols)),
               fmt::format("{:.3g}", e.damage), e.reason});
  return table.str(width);
}

}  // namespace

void print_fallbacks(const Plan& plan, Console& console) {
  for (const std::string& line : fallback_lines(plan)) fmt::print(console.out, "note: {}\n", line);
}

void print_plan(const Plan& plan, Console& console) {
  fmt::print(console.out, "{}", plan_table(plan, console.width()));
  print_fallbacks(plan, console);
}

}  // namespace vernier
