#include "evaluate/image_scores.h"

#include <ATen/ATen.h>

#include <map>
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

/// Sums per cluster, of as many examples.
struct ImageColumns {
  std::map<int64_t, size_t> row_of;
  std::vector<double> images;
  std::map<std::string, std::vector<double>> sums;

  void add(int64_t cluster, const std::map<std::string, double>& values) {
    const auto [it, is_new] = row_of.try_emplace(cluster, images.size());
    if (is_new) images.push_back(0);
    images[it->second] += 1;
    for (const auto& [key, value] : values) {
      sums[key].resize(images.size());
      sums[key][it->second] += value;
    }
  }
};

}  // namespace

Scores image_scores(const GroupedExamples& examples, const Answers& answers, const Answers* reference,
                    std::span<const int64_t> clusters, const std::vector<bool>& in) {
  const at::Tensor y = logits_in(examples, answers);
  LogitDamage damage;
  if (reference != nullptr) {
    const at::Tensor labels =
        at::tensor(std::vector<int64_t>(examples.labels.begin(), examples.labels.end()), at::kLong);
    damage = logit_damage(logits_in(examples, *reference), y, labels.clamp_min(0).unsqueeze(-1));
    for (at::Tensor* t : {&damage.kl, &damage.delta_nll, &damage.same_top}) *t = t->contiguous();
  }
  ImageColumns columns;
  for (size_t i = 0; i < static_cast<size_t>(examples.count); ++i) {
    if (!in.empty() && !in[i]) continue;
    std::map<std::string, double> values{{"accuracy_share", answers.correct[i]}, {"nll_nats", answers.loss_nats[i]}};
    if (reference != nullptr) {
      values["kl_nats"] = damage.kl.data_ptr<double>()[i];
      values["delta_nll_nats"] = damage.delta_nll.data_ptr<double>()[i];
      values["same_top_share"] = damage.same_top.data_ptr<double>()[i];
    }
    columns.add(clusters[i], values);
  }
  Scores scores;
  for (const double images : columns.images) scores.tokens += static_cast<int64_t>(images);
  for (const auto& [key, sums] : columns.sums) scores.metrics[key] = ratio_estimate(sums, columns.images);
  return scores;
}

Evaluation image_evaluation(const GroupedExamples& examples, const Answers& answers, const Answers* reference,
                            std::span<const int64_t> clusters) {
  Evaluation evaluation;
  evaluation.model_name = answers.model;
  evaluation.data = {examples.name, examples.hash, 0, examples.count};
  evaluation.all = image_scores(examples, answers, reference, clusters);
  for (const GroupAttribute& attribute : examples.attributes) {
    std::map<std::string, std::vector<bool>> members;
    for (size_t i = 0; i < attribute.values.size(); ++i) {
      if (attribute.values[i].empty()) continue;
      std::vector<bool>& in = members[attribute.values[i]];
      in.resize(attribute.values.size());
      in[i] = true;
    }
    for (const auto& [value, in] : members)
      evaluation.groups[attribute.name + " " + value] = image_scores(examples, answers, reference, clusters, in);
  }
  return evaluation;
}

}  // namespace vernier
