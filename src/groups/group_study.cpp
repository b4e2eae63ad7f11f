#include "vernier/group_study.h"

#include <algorithm>
#include <cmath>

#include "base/fail.h"
#include "groups/figures.h"
#include "groups/partition.h"

namespace vernier {

namespace {

GroupOptions options_of_unit(GroupOptions options, const GroupedAnswers& answers) {
  for (const char* key : {"loss_nats", "kl_nats"}) {
    const auto row = std::find_if(figure_rows().begin(), figure_rows().end(),
                                  [&](const FigureRow& figure) { return figure.facts.key == key; });
    const auto set = options.tolerance.find(key);
    options.tolerance[key] =
        answers.tokens_per_unit * (set == options.tolerance.end() ? row->facts.tolerance : set->second);
  }
  return options;
}

/// Mean of `values` over group number `group`, weighted as the examples are.
double group_mean(const GroupedExamples& examples, const Partition& partition, size_t group,
                  const std::vector<double>& values) {
  double weight = 0, sum = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    if (partition.group_of[i] != static_cast<int32_t>(group)) continue;
    const double own = examples.weights.empty() ? 1 : examples.weights[i];
    weight += own;
    sum += own * values[i];
  }
  return weight > 0 ? sum / weight : kNotMeasured;
}

/// R(g) of the rescaled answers, into the records of the same groups.
void add_rescaled(std::vector<ChainRecord>& records, const GroupedAnswers& answers, const Partition& partition,
                  const Answers& rescaled) {
  for (ChainRecord& record : records) {
    const auto found = std::find(partition.groups.begin(), partition.groups.end(), record.group);
    const auto group = static_cast<size_t>(found - partition.groups.begin());
    record.rescaled_loss_change = group_mean(answers.examples, partition, group, rescaled.loss_nats) -
                                  group_mean(answers.examples, partition, group, answers.reference.loss_nats);
  }
}

AttributeChain chain_of(const AttributeResult& attribute, const GroupedAnswers& answers, size_t model,
                        const GroupOptions& options, const CompleteRecords& complete) {
  AttributeChain chain{attribute.name, chain_records(attribute, options.min_clusters), {}};
  if (!answers.rescaled.empty())
    for (const Partition& partition : partitions(answers.examples, options.intersections))
      if (partition.name == attribute.name) add_rescaled(chain.records, answers, partition, answers.rescaled[model]);
  if (complete) complete(model, answers.unit, attribute.name, chain.records);
  chain.report = chain_test(chain.records, options.confidence);
  return chain;
}

}  // namespace

GroupStudy study_groups(const std::vector<GroupedAnswers>& answers, const std::vector<std::string>& labels,
                        const GroupOptions& options, const CompleteRecords& complete) {
  GroupStudy study;
  for (size_t m = 0; m < labels.size(); ++m)
    for (const GroupedAnswers& unit : answers) {
      const bool alone = unit.models.empty();
      if (labels.size() != std::max<size_t>(unit.models.size(), 1) ||
          (!unit.rescaled.empty() && unit.rescaled.size() != unit.models.size()))
        fail(ErrorKind::kInvalidArgument, "groups: {}: {} labels for {} models and {} rescaled ones, expected as many",
             unit.examples.name, labels.size(), unit.models.size(), unit.rescaled.size());
      const Answers& model = alone ? unit.reference : unit.models[m];
      GroupStudyEntry entry{labels[m],
                            unit.unit,
                            analyse_groups(unit.examples, unit.reference, model, options_of_unit(options, unit)),
                            {}};
      for (const AttributeResult& attribute : entry.analysis.attributes)
        if (!alone) entry.chains.push_back(chain_of(attribute, unit, m, options, complete));
      study.entries.push_back(std::move(entry));
    }
  return study;
}

}  // namespace vernier
