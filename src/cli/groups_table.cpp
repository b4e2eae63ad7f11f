#include "cli/groups_table.h"

#include <fmt/format.h>

#include <cmath>

#include "base/text_table.h"

namespace vernier {

namespace {

constexpr std::string_view kLoss = "loss_nats";

/// What a table's rows say of a group: the figure that pays, and what is shown before and after beside it.
struct GroupView {
  std::string_view paid;        ///< key of the figure whose change is judged
  std::string_view paid_title;  ///< of its change
  std::string_view shown;       ///< key of the figure shown before and after
  std::string_view shown_title;
  double scale;  ///< of both shown and, where it is the same figure, of the change
};

/// The share of stereotyping preferred where there are pairs, accuracy where examples are right or wrong, else the loss.
GroupView view_of(const GroupAnalysis& analysis, const std::string& unit) {
  const auto has = [&](const char* key) { return analysis.all.figures.contains(key); };
  if (has("stereotype_share")) return {"stereotype_share", "change", "stereotype_share", "stereotyping %", 100};
  if (has("accuracy") && unit != "token" && unit != "byte" && unit != "document")
    return {kLoss, "excess loss", "accuracy", "accuracy %", 100};
  return {kLoss, "excess loss", kLoss, "loss", 1};
}

std::string interval(const ConfidenceInterval& i, double scale, int decimals) {
  if (!std::isfinite(i.low) || !std::isfinite(i.high)) return "-";
  return fmt::format("{:+.{}f} to {:+.{}f}", scale * i.low, decimals, scale * i.high, decimals);
}

void print_table(const GroupStudyEntry& entry, const GroupView& view, Console& console) {
  const bool same = view.paid == view.shown;
  const double scale = same ? view.scale : 1;
  const int decimals = scale == 100 ? 2 : 4, shown_decimals = view.scale == 100 ? 2 : 4;
  const bool alone = entry.chains.empty();
  const int percent = static_cast<int>(std::lround(100 * entry.analysis.options.confidence));
  std::vector<std::string> header{"group", "size", std::string(view.shown_title)};
  if (!alone)
    for (const std::string& title :
         {std::string("before"), std::string(view.paid_title), fmt::format("{} %", percent),
          std::string("more than others"), std::string("p of random"), std::string("verdict")})
      header.push_back(title);
  TextTable table(header);
  const auto add = [&](const std::string& name, const GroupResult& group, bool everyone) {
    const GroupValue& paid = group.figures.find(view.paid)->second;
    const GroupValue& shown = group.figures.find(view.shown)->second;
    std::vector<std::string> row{name, fmt::format("{}", group.examples),
                                 number_cell(view.scale * shown.model, shown_decimals)};
    if (!alone) {
      const bool judged = !everyone && group.clusters >= entry.analysis.options.min_clusters;
      for (const std::string& cell :
           {number_cell(view.scale * shown.reference, shown_decimals),
            number_cell(scale * paid.change.value, decimals, true), interval(paid.change.interval, scale, decimals),
            everyone ? std::string() : number_cell(scale * paid.skew.value, decimals, true),
            judged ? number_cell(paid.null_p, 3) : std::string(),
            judged ? std::string(name_of(paid.skew.verdict)) : std::string()})
        row.push_back(cell);
    }
    table.add(row);
  };
  add("all", entry.analysis.all, true);
  for (const AttributeResult& attribute : entry.analysis.attributes)
    for (const GroupResult& group : attribute.groups) {
      const bool only = entry.analysis.attributes.size() == 1;
      add(only ? group.name : attribute.name + " " + group.name, group, false);
    }
  fmt::print(console.out, "{}", table.str(console.width()));
}

void print_gap(const AttributeResult& attribute, const GroupView& view, const std::string& unit, Console& console) {
  const auto found = attribute.gaps.find(view.paid);
  if (found == attribute.gaps.end() || !std::isfinite(found->second.spread.value)) return;
  const GroupGap& gap = found->second;
  const double scale = view.paid == view.shown ? view.scale : 1;
  const std::string what = scale == 100 ? "points" : "nats per " + unit;
  fmt::print(console.out,
             "{}: changes differ by {:.4f} {} ({}; among random groups up to {:.4f}, p {:.3f}): {}; {} pays most\n",
             attribute.name, scale * gap.spread.value, what, interval(gap.spread.interval, scale, 4),
             scale * gap.null_95, gap.null_p, name_of(gap.spread.verdict), gap.most_damaged);
}

void print_chain(const AttributeChain& chain, Console& console) {
  if (chain.records.size() < 2) return;
  fmt::print(console.out, "chain of causes over {} groups of {}: {}\n", chain.records.size(), chain.attribute,
             name_of(chain.report.verdict));
  TextTable table({"link", "value", "interval", "p", "verdict"});
  for (const ChainStep& step : chain.report.steps)
    if (std::isfinite(step.correlation))
      table.add({step.claim, number_cell(step.correlation, 2), interval(step.interval, 1, 2), number_cell(step.p, 3),
                 std::string(name_of(step.verdict))});
  fmt::print(console.out, "{}", table.str(console.width()));
}

}  // namespace

void print_group_study(const GroupStudy& study, Console& console) {
  for (const GroupStudyEntry& entry : study.entries) {
    const GroupView view = view_of(entry.analysis, entry.unit);
    fmt::print(console.out, "{}{}, {} examples of {}, loss in nats per {}\n",
               &entry == study.entries.data() ? "" : "\n", entry.label, entry.analysis.examples,
               entry.analysis.data_name, entry.unit);
    print_table(entry, view, console);
    if (entry.chains.empty()) continue;
    for (const AttributeResult& attribute : entry.analysis.attributes) print_gap(attribute, view, entry.unit, console);
    for (const AttributeChain& chain : entry.chains) print_chain(chain, console);
  }
}

}  // namespace vernier
