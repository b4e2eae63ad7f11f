#include <algorithm>
#include <cmath>

#include "base/fail.h"
#include "groups/partition_analysis.h"

namespace vernier {

namespace {

constexpr size_t kMostGroups = 1000;

void require_size(size_t size, const GroupedExamples& examples, const std::string& what) {
  if (size != 0 && size != static_cast<size_t>(examples.count))
    fail(ErrorKind::kInvalidArgument, "groups: {}: {} {}, expected one for each of {} examples", examples.name, size,
         what, examples.count);
}

void require_classes(std::span<const int32_t> values, const GroupedExamples& examples, const std::string& what) {
  for (size_t i = 0; i < values.size() && examples.classes > 0; ++i)
    if (values[i] < 0 || values[i] >= examples.classes)
      fail(ErrorKind::kInvalidArgument, "groups: {}: example {}: {} is {}, expected 0 to {}", examples.name, i, what,
           values[i], examples.classes - 1);
}

void check(const GroupedExamples& examples, const Answers& reference, const Answers& model,
           const GroupOptions& options) {
  if (examples.count < 1 || examples.attributes.empty())
    fail(ErrorKind::kInvalidArgument, "groups: {}: {} examples with {} attributes, expected at least one of each",
         examples.name, examples.count, examples.attributes.size());
  require_size(examples.labels.size(), examples, "labels");
  require_size(examples.clusters.size(), examples, "clusters");
  require_size(examples.weights.size(), examples, "weights");
  require_classes(examples.labels, examples, "its label");
  for (const double weight : examples.weights)
    if (!(weight >= 0) || !std::isfinite(weight))
      fail(ErrorKind::kInvalidArgument, "groups: {}: weight {}, expected a number of at least 0", examples.name,
           weight);
  for (const GroupAttribute& attribute : examples.attributes) {
    if (attribute.values.size() != static_cast<size_t>(examples.count))
      fail(ErrorKind::kInvalidArgument, "groups: {}: attribute {} has {} values, expected one for each of {} examples",
           examples.name, attribute.name, attribute.values.size(), examples.count);
  }
  for (const Answers* answers : {&reference, &model}) {
    for (const auto member :
         {&Answers::loss_nats, &Answers::correct, &Answers::logit_variance, &Answers::margin, &Answers::entropy_nats,
          &Answers::confidence, &Answers::kl_nats, &Answers::normalized_correct, &Answers::stereotyped}) {
      require_size((answers->*member).size(), examples, "figures of " + answers->model);
      for (const double value : answers->*member)
        if (!std::isfinite(value))
          fail(ErrorKind::kInvalidArgument, "groups: {}: {} has a figure that is no finite number", examples.name,
               answers->model);
    }
    require_size(answers->predicted.size(), examples, "answers of " + answers->model);
    require_size(answers->logits.size() / static_cast<size_t>(std::max<int64_t>(examples.classes, 1)), examples,
                 "rows of logits of " + answers->model);
    require_classes(answers->predicted, examples, "the answer of " + answers->model);
  }
  for (const auto& [key, tolerance] : options.tolerance) {
    const bool known = key == "demographic_parity" || key == "equalized_odds" ||
                       std::any_of(figure_rows().begin(), figure_rows().end(),
                                   [&](const FigureRow& row) { return row.facts.key == key; });
    if (!known || !(tolerance >= 0))
      fail(ErrorKind::kInvalidArgument, "groups: tolerance {} of \"{}\": expected at least 0, of a figure that exists",
           tolerance, key);
  }
  if (!(options.confidence > 0.5 && options.confidence < 1) || options.bootstrap_draws < 1 || options.null_draws < 1 ||
      options.intersections < 1)
    fail(ErrorKind::kInvalidArgument,
         "groups: confidence {}, {} and {} draws, {} attributes crossed; expected a confidence in (0.5, 1) and the "
         "others "
         "of at least 1",
         options.confidence, options.bootstrap_draws, options.null_draws, options.intersections);
}

void warn_of_small_groups(GroupAnalysis& analysis) {
  for (const AttributeResult& attribute : analysis.attributes)
    for (const GroupResult& group : attribute.groups)
      if (group.clusters < analysis.options.min_clusters)
        analysis.warnings.push_back(
            fmt::format("groups: {}: {} = \"{}\" has {} independent example{}: no interval and no verdict below {}",
                        analysis.data_name, attribute.name, group.name, group.clusters, group.clusters == 1 ? "" : "s",
                        analysis.options.min_clusters));
}

}  // namespace

GroupAnalysis analyse_groups(const GroupedExamples& examples, const Answers& reference, const Answers& model,
                             const GroupOptions& options) {
  check(examples, reference, model, options);
  const FigureValues values(examples, reference, model);
  if (values.rows().empty())
    fail(ErrorKind::kInvalidArgument, "groups: {}: {} and {} have no figure in common", examples.name, reference.model,
         model.model);
  const std::vector<double> weights =
      examples.weights.empty() ? std::vector<double>(static_cast<size_t>(examples.count), 1.0) : examples.weights;
  const std::vector<int32_t> clusters = cluster_numbers(examples);
  const GroupProblem problem{values, weights, clusters, options};
  GroupAnalysis analysis{
      examples.name, examples.hash, reference.model, model.model, examples.count, options, {}, {}, {}};
  const Partition everything{"", {"all"}, std::vector<int32_t>(static_cast<size_t>(examples.count), 0)};
  analysis.all = analyse_partition(problem, everything).groups[0];
  for (const Partition& partition : partitions(examples, options.intersections)) {
    if (partition.groups.size() > kMostGroups)
      fail(ErrorKind::kInvalidArgument, "groups: {}: {} has {} groups, expected at most {}; is it a number of its own?",
           examples.name, partition.name, partition.groups.size(), kMostGroups);
    if (!partition.groups.empty()) analysis.attributes.push_back(analyse_partition(problem, partition));
  }
  warn_of_small_groups(analysis);
  return analysis;
}

}  // namespace vernier
