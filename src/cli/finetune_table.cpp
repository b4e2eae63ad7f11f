#include "cli/finetune_table.h"

#include <fmt/format.h>

#include <cmath>

#include "base/statistics.h"
#include "base/text_table.h"

namespace vernier {

namespace {

const GroupLoss& loss_in(const FinetuneEvaluation& evaluation, const std::string& group) {
  return group.empty() ? evaluation.all : evaluation.groups.at(group);
}

constexpr double kShown = 5e-5;  // what four digits tell from nothing: a model that was kept differs by rounding only

/// Groups whose KL is higher than before, with the 95% interval of by how much: those of which it is sure, or the others.
std::string worse_groups(const FinetuneEvaluation& before, const FinetuneEvaluation& after, bool sure) {
  std::string worse;
  for (const auto& [name, change] : finetune_changes(before, after).groups)
    if (change.kl_nats.mean >= kShown) {
      const double reach = kNormal95 * change.kl_nats.standard_error;
      if ((change.kl_nats.mean > reach) != sure) continue;  // of one example none is sure
      worse += fmt::format(
          "{}{} by {:.4f} ({})", worse.empty() ? "" : ", ", name.empty() ? "(no group)" : name, change.kl_nats.mean,
          std::isfinite(reach)
              ? fmt::format("95%: {:+.4f} to {:+.4f}", change.kl_nats.mean - reach, change.kl_nats.mean + reach)
              : "one example, which tells nothing");
    }
  return worse;
}

}  // namespace

void print_finetuned(const std::vector<FinetuneRow>& rows, const FinetuneCurve& curve, Console& console) {
  std::vector<std::string> header{"group", "scored"};
  for (size_t r = 1; r < rows.size(); ++r) header.push_back("KL " + rows[r].name);
  const bool counted = rows[0].evaluation.all.bytes > 0;
  for (const FinetuneRow& row : rows) header.push_back((counted ? "NLL/byte " : "NLL ") + row.name);
  TextTable table(header);
  const auto add = [&](const std::string& shown, const std::string& group) {
    std::vector<std::string> cells{shown, fmt::format("{:.0f}", loss_in(rows[0].evaluation, group).scored)};
    for (size_t r = 1; r < rows.size(); ++r)
      cells.push_back(fmt::format("{:.4f}", loss_in(rows[r].evaluation, group).kl_nats.mean));
    for (const FinetuneRow& row : rows) {
      const GroupLoss& loss = loss_in(row.evaluation, group);
      cells.push_back(fmt::format("{:.4f}", counted ? loss.nll_nats_per_byte() : loss.nll_nats.mean));
    }
    table.add(cells);
  };
  add("all", "");
  for (const auto& [name, group] : rows[0].evaluation.groups)
    if (!name.empty()) add(name, name);
  fmt::print(console.out, "{}", table.str(console.width()));
  const FinetuneEvaluation &before = rows[1].evaluation, &after = rows[2].evaluation;
  fmt::print(console.out,
             "worst group: KL {:.4f} ({}) before, {:.4f} ({}) after; best checkpoint: step {}, ended by {}\n",
             before.worst_kl_nats(), before.worst_group(), after.worst_kl_nats(), after.worst_group(), curve.best_step,
             curve.stopped);
  for (const FinetuneStage& stage : curve.stages)
    fmt::print(console.out, "{:<10} {:8.2f} ms {:6} times {:8.2f} s\n", stage.name,
               1e3 * stage.seconds / static_cast<double>(stage.times), stage.times, stage.seconds);
  if (const std::string worse = worse_groups(before, after, true); !worse.empty())
    fmt::print(console.out, "worse off than before: {}\n", worse);
  if (const std::string higher = worse_groups(before, after, false); !higher.empty())
    fmt::print(console.out, "higher than before, within what chance explains: {}\n", higher);
}

}  // namespace vernier
