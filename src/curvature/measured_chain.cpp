#include <algorithm>

#include "base/fail.h"
#include "vernier/curvature.h"

namespace vernier {

namespace {

/// R(g) of other answers than those that were analysed.
double mean_loss_change(const GroupedExamples& examples, const std::vector<int64_t>& members, const Answers& before,
                        const Answers& after) {
  double sum = 0, total = 0;
  for (const int64_t member : members) {
    const auto i = static_cast<size_t>(member);
    const double weight = examples.weights.empty() ? 1 : examples.weights[i];
    sum += weight * (after.loss_nats[i] - before.loss_nats[i]);
    total += weight;
  }
  return sum / total;
}

}  // namespace

std::vector<ChainRecord> measured_chain(const Model& reference, const Model& quantized, const LossOfExamples& loss,
                                        const GroupedExamples& examples, const Answers& before, const Answers& after,
                                        const AttributeResult& attribute, const CurvatureOptions& options,
                                        ProgressSink* progress) {
  if (loss.count != examples.count)
    fail(ErrorKind::kInvalidArgument, "curvature: {} examples were analysed, the loss has {}", examples.count,
         loss.count);
  const ExamplesByGroup all = examples_by_group(examples, attribute.name);
  std::vector<ChainRecord> records = chain_records(attribute);
  ExamplesByGroup groups;  // those that are large enough
  for (const ChainRecord& record : records) groups[record.group] = all.at(record.group);
  const auto curvature = group_curvature(reference, &quantized, loss, groups, options, progress);
  const auto changes = activation_change(reference, quantized, loss, groups, options, progress);
  const std::optional<Answers> rescaled =
      after.logits.empty() ? std::nullopt : std::optional(rescaled_answers(examples, before, after));
  for (ChainRecord& record : records) {
    const auto of_group = [&](const auto& each) { return each.group == record.group; };
    const GroupCurvature& bent = *std::find_if(curvature.begin(), curvature.end(), of_group);
    record.gradient_norm = bent.gradient_norm;
    record.top_eigenvalue = bent.top_eigenvalue;
    record.foretold_loss_change = bent.expansion->foretold();
    record.activation_change = std::find_if(changes.begin(), changes.end(), of_group)->read_out;
    if (rescaled) record.rescaled_loss_change = mean_loss_change(examples, all.at(record.group), before, *rescaled);
  }
  return records;
}

}  // namespace vernier
