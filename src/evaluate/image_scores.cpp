#include "evaluate/image_scores.h"

#include <ATen/ATen.h>

#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "base/fail.h"
#include "base/statistics.h"
#include "engine/logit_damage.h"

namespace vernier {

namespace {

at::Tensor logits_in(const GroupedExamples& examples, const Answers& answers) {
  if (examples.count < 1 || answers.logits.size() != static_cast<size_t>(examples.count * examples.classes))
    fail(ErrorKind::kInvalidArgument, "evaluate: {} answered {} logits to {} images of {} classes", answers.model,
         answers.logits.size(), examples.count, examples.classes);
  return at::tensor(answers.logits).view({examples.count, examples.classes}).to(at::kDouble);
}

/// What image_metrics() lists of each image.
std::map<std::string, std::vector<double>> image_values(const GroupedExamples& examples, const Answers& answers,
                                                        const Answers* reference) {
  const at::Tensor y = logits_in(examples, answers);
  std::map<std::string, std::vector<double>> values{{"accuracy_share", {}}, {"nll_nats", answers.loss_nats}};
  values["accuracy_share"].assign(answers.correct.begin(), answers.correct.end());
  if (reference == nullptr) return values;
  const at::Tensor labels = at::tensor(std::vector<int64_t>(examples.labels.begin(), examples.labels.end()), at::kLong);
  const LogitDamage damage = logit_damage(logits_in(examples, *reference), y, labels.clamp_min(0).unsqueeze(-1));
  const auto column = [](const at::Tensor& of_images) {
    const at::Tensor flat = of_images.contiguous();
    return std::vector<double>(flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel());
  };
  values["kl_nats"] = column(damage.kl);
  values["delta_nll_nats"] = column(damage.delta_nll);
  values["same_top_share"] = column(damage.same_top);
  return values;
}

/// Of the images in `members`.
Scores scores_of(const std::map<std::string, std::vector<double>>& values, std::span<const int64_t> clusters,
                 const std::vector<size_t>& members) {
  std::map<int64_t, size_t> row_of;  // clusters that have a member
  std::vector<size_t> rows;
  std::vector<double> images;
  for (const size_t i : members) {
    const auto [it, is_new] = row_of.try_emplace(clusters[i], images.size());
    if (is_new) images.push_back(0);
    images[it->second] += 1;
    rows.push_back(it->second);
  }
  Scores scores;
  scores.tokens = static_cast<int64_t>(members.size());
  for (const auto& [key, of_images] : values) {
    std::vector<double> sums(images.size());
    for (size_t m = 0; m < members.size(); ++m) sums[rows[m]] += of_images[members[m]];
    scores.metrics[key] = ratio_estimate(sums, images);
  }
  return scores;
}

}  // namespace

Evaluation image_evaluation(const GroupedExamples& examples, const Answers& answers, const Answers* reference,
                            std::span<const int64_t> clusters) {
  Evaluation evaluation;
  evaluation.model_name = answers.model;
  evaluation.data = {examples.name, examples.hash, 0, examples.count};
  const std::map<std::string, std::vector<double>> values = image_values(examples, answers, reference);
  std::vector<size_t> all(static_cast<size_t>(examples.count));
  std::iota(all.begin(), all.end(), size_t{0});
  evaluation.all = scores_of(values, clusters, all);
  for (const GroupAttribute& attribute : examples.attributes) {
    std::map<std::string, std::vector<size_t>> members;
    for (size_t i = 0; i < attribute.values.size(); ++i)
      if (!attribute.values[i].empty()) members[attribute.values[i]].push_back(i);
    for (const auto& [value, in] : members)
      evaluation.groups[attribute.name + " " + value] = scores_of(values, clusters, in);
  }
  return evaluation;
}

}  // namespace vernier
