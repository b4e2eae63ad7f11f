#include "finetune/group_losses.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "base/fail.h"
#include "base/statistics.h"

namespace vernier {

namespace {

void append_values(const at::Tensor& sums, std::vector<double>& out) {
  const at::Tensor cpu = sums.to(at::kCPU, at::kDouble).contiguous();
  out.insert(out.end(), cpu.data_ptr<double>(), cpu.data_ptr<double>() + cpu.numel());
}

std::vector<double> picked(const std::vector<double>& all, const std::vector<size_t>& members) {
  std::vector<double> own;
  for (const size_t i : members) own.push_back(all[i]);
  return own;
}

GroupLoss loss_of(const ExampleLosses& sums, const std::vector<size_t>& members, double bytes) {
  const std::vector<double> scored = picked(sums.scored, members);
  return {.examples = static_cast<int64_t>(members.size()),
          .scored = std::accumulate(scored.begin(), scored.end(), 0.0),
          .bytes = bytes,
          .kl_nats = ratio_estimate(picked(sums.kl_nats, members), scored),
          .nll_nats = ratio_estimate(picked(sums.nll_nats, members), scored),
          .right_share = ratio_estimate(picked(sums.right, members), scored)};
}

LossChange change_of(const ExampleLosses& before, const ExampleLosses& after, const std::vector<size_t>& members) {
  const std::vector<double> scored = picked(after.scored, members);
  const auto change = [&](std::vector<double> ExampleLosses::*figure) {
    std::vector<double> differences = picked(after.*figure, members);
    for (size_t i = 0; i < members.size(); ++i) differences[i] -= (before.*figure)[members[i]];
    return ratio_estimate(differences, scored);
  };
  return {change(&ExampleLosses::kl_nats), change(&ExampleLosses::nll_nats), change(&ExampleLosses::right)};
}

/// Examples of each group, and all of them.
std::map<std::string, std::vector<size_t>> members_of(const ExampleLosses& examples, std::vector<size_t>& all) {
  std::map<std::string, std::vector<size_t>> members;
  all.resize(examples.group.size());
  std::iota(all.begin(), all.end(), 0);
  for (const size_t i : all) members[examples.group[i]].push_back(i);
  return members;
}

FinetuneEvaluation by_group(ExampleLosses sums, const TrainingData& data) {
  for (const int32_t group : data.group) sums.group.push_back(data.groups[static_cast<size_t>(group)]);
  std::map<std::string, double> bytes;
  for (size_t g = 0; g < data.group_bytes.size(); ++g) bytes[data.groups[g]] = data.group_bytes[g];
  FinetuneEvaluation evaluation;
  std::vector<size_t> all;
  for (const auto& [name, members] : members_of(sums, all))
    evaluation.groups[name] = loss_of(sums, members, bytes[name]);
  evaluation.all = loss_of(sums, all, std::accumulate(data.group_bytes.begin(), data.group_bytes.end(), 0.0));
  evaluation.examples = std::move(sums);
  return evaluation;
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

std::vector<FinetuneEvaluation> measure_groups(const std::vector<JudgedModel>& models, const Model& teacher,
                                               const TrainingData& data, int64_t batch, ProgressSink* progress) {
  const c10::NoGradGuard no_grad;
  const at::Device device = teacher.weight(teacher.tensors().front()).device();
  const int64_t rows = longest_rows(data);
  if (progress != nullptr) progress->begin("evaluate", data.size(), data.pixels.defined() ? "images" : "windows");
  const BatchForward of_teacher(teacher, rows, device, {});
  std::vector<std::optional<BatchForward>> forwards(models.size());  // none: the teacher itself
  for (size_t m = 0; m < models.size(); ++m)
    if (&models[m].model != &teacher || models[m].inputs.how != Activations::kExact)
      forwards[m].emplace(models[m].model, rows, device,
                          BatchForward::How{.inputs = models[m].inputs, .beside = &of_teacher});
  std::vector<ExampleLosses> sums(models.size());
  for (int64_t first = 0; first < data.size(); first += batch) {
    std::vector<int64_t> examples(static_cast<size_t>(std::min(batch, data.size() - first)));
    std::iota(examples.begin(), examples.end(), first);
    const ExampleBatch some = batch_of(data, examples, device);
    const Answered right = of_teacher.answers(some);
    for (size_t m = 0; m < models.size(); ++m) {
      const Answered answered = beside(forwards[m] ? forwards[m]->answers(some) : right, right);
      append_values((some.labels >= 0).sum(-1), sums[m].scored);
      append_values(rows_kl(answered).sum(-1, false, at::kDouble), sums[m].kl_nats);
      append_values(rows_nll(answered).sum(-1, false, at::kDouble), sums[m].nll_nats);
      append_values((answered.logits.argmax(-1) == some.labels).sum(-1), sums[m].right);
    }
    if (progress != nullptr) progress->update(first + static_cast<int64_t>(examples.size()));
  }
  if (progress != nullptr) progress->end();
  std::vector<FinetuneEvaluation> evaluations;
  for (ExampleLosses& own : sums) evaluations.push_back(by_group(std::move(own), data));
  return evaluations;
}

FinetuneEvaluation measure_groups(const Model& model, const Model& teacher, const TrainingData& data, int64_t batch,
                                  const RoundedInputs& inputs, ProgressSink* progress) {
  return std::move(measure_groups({{model, inputs}}, teacher, data, batch, progress).front());
}

double GroupLoss::nll_nats_per_byte() const { return bytes > 0 ? nll_nats.mean * scored / bytes : NAN; }

FinetuneChanges finetune_changes(const FinetuneEvaluation& before, const FinetuneEvaluation& after) {
  if (before.examples.scored != after.examples.scored || before.examples.group != after.examples.group)
    fail(ErrorKind::kInvalidArgument, "finetune: changes between evaluations of different examples");
  FinetuneChanges changes;
  std::vector<size_t> all;
  for (const auto& [name, members] : members_of(after.examples, all))
    changes.groups[name] = change_of(before.examples, after.examples, members);
  changes.all = change_of(before.examples, after.examples, all);
  return changes;
}

}  // namespace vernier
