#include "cli/reliability_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/text_table.h"

namespace vernier {

namespace {

std::string figure_number(double value, const std::string& unit) {
  if (!std::isfinite(value)) return "-";
  return unit == "share" ? fmt::format("{:.2f}%", 100 * value) : fmt::format("{:.4f}", value);
}

/// With its interval, where there is one. Better and worse are marked; what is undecided is not.
std::string cell(const ReliabilityRow& row, size_t model) {
  const ComparedValue& own = row.models[model];
  std::string value = figure_number(own.value, row.unit);
  if (std::isfinite(own.interval.low) && std::isfinite(own.interval.high))
    value +=
        fmt::format(" [{}, {}]", figure_number(own.interval.low, row.unit), figure_number(own.interval.high, row.unit));
  if (model == 0) return value;
  const Comparison comparison = compare(own, row.worse);
  return comparison == Comparison::kUndecided ? value
                                              : value + (comparison == Comparison::kWorse ? " worse" : " better");
}

std::string level_of(const ReliabilityRow& row) {
  if (std::isnan(row.level)) return "";
  return row.level < 1 ? fmt::format("{:.3g}/255", 255 * row.level) : fmt::format("{:.0f}", row.level);
}

}  // namespace

void print_reliability(const Reliability& reliability, Console& console) {
  for (const ReliabilityDimension& dimension : reliability.dimensions) {
    fmt::print(console.out, "\n{}\n", dimension.name);
    for (const std::string& note : dimension.notes) fmt::print(console.out, "  {}\n", note);
    if (!dimension.headline.empty()) fmt::print(console.out, "  {}\n", dimension.headline);
    if (dimension.claim)
      fmt::print(console.out,
                 "  \"Quantization improves calibration only where the model was under-confident\": {}; {}\n",
                 name_of(dimension.claim->verdict), dimension.claim->reason);
    for (const ReliabilityVerdict& verdict : dimension.summary) fmt::print(console.out, "  {}\n", verdict.text);
    std::vector<const ReliabilityRow*> rows;
    for (const ReliabilityRow& row : dimension.rows)
      if (!row.detail && row.group.empty()) rows.push_back(&row);
    const bool conditions = std::ranges::any_of(rows, [](const auto* row) { return !row->condition.empty(); });
    const bool levels = std::ranges::any_of(rows, [](const auto* row) { return !std::isnan(row->level); });
    std::vector<std::string> header{"figure"};
    if (conditions) header.emplace_back("of");
    if (levels) header.emplace_back("level");
    header.insert(header.end(), reliability.models.begin(), reliability.models.end());
    TextTable table(header);
    for (const ReliabilityRow* of : rows) {
      const ReliabilityRow& row = *of;
      std::vector<std::string> cells{row.name};
      if (conditions) cells.push_back(row.condition);
      if (levels) cells.push_back(level_of(row));
      for (size_t m = 0; m < row.models.size(); ++m) cells.push_back(cell(row, m));
      table.add(cells);
    }
    fmt::print(console.out, "{}", table.str(console.width()));
  }
}

}  // namespace vernier
