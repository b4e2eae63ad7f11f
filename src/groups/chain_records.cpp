#include <cmath>
#include <numeric>

#include "base/fail.h"
#include "vernier/group_chain.h"

namespace vernier {

std::vector<ChainRecord> chain_records(const AttributeResult& attribute, int64_t min_clusters) {
  std::vector<ChainRecord> records;
  for (const GroupResult& group : attribute.groups) {
    if (group.clusters < min_clusters) continue;
    ChainRecord record;
    record.group = group.name;
    record.examples = group.examples;
    const auto change = [&](std::string_view key) {
      const auto found = group.figures.find(key);
      return found == group.figures.end() ? kNotMeasured : found->second.change.value;
    };
    record.loss_change = change("loss_nats");
    record.accuracy_change = change("accuracy");
    if (const auto found = group.figures.find("logit_variance"); found != group.figures.end())
      record.logit_variance_change = found->second.change.value / found->second.reference;
    records.push_back(record);
  }
  return records;
}

Answers rescaled_answers(const GroupedExamples& examples, const Answers& reference, const Answers& model) {
  const auto total = [&](const Answers& answers) {
    return std::accumulate(answers.logit_variance.begin(), answers.logit_variance.end(), 0.0);
  };
  const double before = total(reference), after = total(model);
  if (model.logits.empty() || !(before > 0) || !(after > 0))
    fail(ErrorKind::kInvalidArgument, "groups: {}: rescaling needs logits that differ, of {} and of {}", examples.name,
         reference.model, model.model);
  const double factor = std::sqrt(before / after);
  std::vector<float> logits;
  for (const float logit : model.logits) logits.push_back(static_cast<float>(factor * logit));
  return answers_of_logits(model.model + ", rescaled", logits, examples.classes, examples.labels);
}

}  // namespace vernier
