#include "finetune/group_losses.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <numeric>

#include "base/fail.h"
#include "base/statistics.h"

namespace vernier {

namespace {

/// Sums over each example's scored rows.
struct ExampleSums {
  std::vector<double> scored, kl, nll, right;
};

void append_values(const at::Tensor& sums, std::vector<double>& out) {
  const at::Tensor cpu = sums.to(at::kCPU, at::kDouble).contiguous();
  out.insert(out.end(), cpu.data_ptr<double>(), cpu.data_ptr<double>() + cpu.numel());
}

GroupLoss loss_of(const ExampleSums& sums, const std::vector<size_t>& members) {
  const auto pick = [&](const std::vector<double>& all) {
    std::vector<double> own;
    for (const size_t i : members) own.push_back(all[i]);
    return own;
  };
  const std::vector<double> scored = pick(sums.scored);
  return {.examples = static_cast<int64_t>(members.size()),
          .scored = std::accumulate(scored.begin(), scored.end(), 0.0),
          .kl_nats = ratio_estimate(pick(sums.kl), scored),
          .nll_nats = ratio_estimate(pick(sums.nll), scored),
          .right_share = ratio_estimate(pick(sums.right), scored)};
}

double worst_figure(const FinetuneEvaluation& evaluation, Measured GroupLoss::*figure) {
  double worst = (evaluation.all.*figure).mean;
  for (const auto& [name, group] : evaluation.groups) worst = std::max(worst, (group.*figure).mean);
  return worst;
}

const std::vector<ObjectiveRow>& objective_rows() {
  static const std::vector<ObjectiveRow> rows = {
      {"worst-kl", [](const FinetuneEvaluation& e) { return worst_figure(e, &GroupLoss::kl_nats); }},
      {"mean-kl", [](const FinetuneEvaluation& e) { return e.all.kl_nats.mean; }},
      {"worst-nll", [](const FinetuneEvaluation& e) { return worst_figure(e, &GroupLoss::nll_nats); }},
      {"mean-nll", [](const FinetuneEvaluation& e) { return e.all.nll_nats.mean; }},
  };
  return rows;
}

}  // namespace

double FinetuneEvaluation::worst_kl_nats() const { return worst_figure(*this, &GroupLoss::kl_nats); }

std::string FinetuneEvaluation::worst_group() const {
  const auto worst = std::ranges::max_element(groups, {}, [](const auto& group) { return group.second.kl_nats.mean; });
  return worst == groups.end() ? std::string() : worst->first;
}

std::vector<std::string> finetune_objectives() {
  std::vector<std::string> names;
  for (const ObjectiveRow& row : objective_rows()) names.push_back(row.name);
  return names;
}

const ObjectiveRow& find_objective(const std::string& name) {
  for (const ObjectiveRow& row : objective_rows())
    if (row.name == name) return row;
  fail(ErrorKind::kInvalidArgument, "finetune: \"{}\" is no objective; there are {}", name,
       fmt::join(finetune_objectives(), ", "));
}

FinetuneEvaluation measure_groups(const Model& model, const Model& teacher, const TrainingData& data, int64_t batch,
                                  ProgressSink* progress) {
  const c10::NoGradGuard no_grad;
  const at::Device device = model.weight(model.output_matrix()).device();
  ExampleSums sums;
  if (progress != nullptr) progress->begin("evaluate", data.size(), data.pixels.defined() ? "images" : "windows");
  for (int64_t first = 0; first < data.size(); first += batch) {
    std::vector<int64_t> examples(static_cast<size_t>(std::min(batch, data.size() - first)));
    std::iota(examples.begin(), examples.end(), first);
    const ExampleBatch some = batch_of(data, examples, device);
    const Answered answered{batch_logits(model, some), some.labels, batch_logits(teacher, some)};
    append_values((some.labels >= 0).sum(-1), sums.scored);
    append_values(rows_kl(answered).sum(-1, false, at::kDouble), sums.kl);
    append_values(rows_nll(answered).sum(-1, false, at::kDouble), sums.nll);
    append_values((answered.logits.argmax(-1) == some.labels).sum(-1), sums.right);
    if (progress != nullptr) progress->update(first + static_cast<int64_t>(examples.size()));
  }
  if (progress != nullptr) progress->end();
  FinetuneEvaluation evaluation;
  std::vector<size_t> all(static_cast<size_t>(data.size()));
  std::iota(all.begin(), all.end(), 0);
  evaluation.all = loss_of(sums, all);
  std::vector<std::vector<size_t>> members(data.groups.size());
  for (const size_t i : all) members[static_cast<size_t>(data.group[i])].push_back(i);
  for (size_t g = 0; g < members.size(); ++g)
    if (!members[g].empty()) evaluation.groups[data.groups[g]] = loss_of(sums, members[g]);
  return evaluation;
}

}  // namespace vernier
