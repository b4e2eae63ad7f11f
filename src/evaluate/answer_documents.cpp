#include <algorithm>
#include <cmath>
#include <set>

#include "base/fail.h"
#include "evaluate/text_figures.h"
#include "vernier/grouped_answers.h"

namespace vernier {

namespace {

/// What a document's loss is per, and how much it counts.
struct TextUnit {
  const char* name;
  double (*parts)(const TextFigures& document, const Cluster& cluster);   // of the loss
  double (*weight)(const TextFigures& document, const Cluster& cluster);  // in means
};

constexpr TextUnit kToken{"token", [](const TextFigures& d, const Cluster&) { return static_cast<double>(d.tokens); },
                          [](const TextFigures& d, const Cluster&) { return static_cast<double>(d.tokens); }};
constexpr TextUnit kByte{"byte", [](const TextFigures&, const Cluster& c) { return static_cast<double>(c.bytes); },
                         [](const TextFigures&, const Cluster& c) { return static_cast<double>(c.bytes); }};
constexpr TextUnit kDocument{"document", [](const TextFigures&, const Cluster&) { return 1.0; },
                             [](const TextFigures&, const Cluster&) { return 1.0; }};

template <class Value>
std::vector<Value> by_cluster(const EvaluationData& data, const std::vector<Value>& by_window) {
  std::vector<Value> sums(data.clusters.size());
  for (size_t w = 0; w < by_window.size(); ++w) sums[static_cast<size_t>(data.windows[w].cluster)] += by_window[w];
  return sums;
}

/// Everything that was measured of each cluster.
struct ClusterScores {
  std::vector<TextFigures> reference;
  std::vector<std::vector<TextFigures>> models;
  std::vector<std::vector<double>> rescaled;
};

Answers answers_of(const std::string& name, const std::vector<TextFigures>& figures, const EvaluationData& data,
                   const std::vector<size_t>& chosen, const TextUnit& unit) {
  Answers answers;
  answers.model = name;
  for (const size_t c : chosen) {
    const TextFigures& own = figures[c];
    const auto tokens = static_cast<double>(own.tokens);
    answers.loss_nats.push_back(own.nll_nats / unit.parts(own, data.clusters[c]));
    answers.kl_nats.push_back(own.kl_nats / unit.parts(own, data.clusters[c]));
    answers.correct.push_back(own.right / tokens);
    answers.logit_variance.push_back(own.logit_variance / tokens);
    answers.margin.push_back(own.margin / tokens);
    answers.entropy_nats.push_back(own.entropy_nats / tokens);
    answers.confidence.push_back(own.confidence / tokens);
  }
  return answers;
}

/// What is drawn together: the versions of a document, the copies of a text.
int64_t drawn_with(const EvaluationData& data, size_t cluster) {
  const Cluster& own = data.clusters[cluster];
  if (own.version_of >= 0) return own.version_of;
  return own.same_as >= 0 ? own.same_as : static_cast<int64_t>(cluster);
}

GroupedAnswers in_unit(const EvaluationData& data, const std::vector<size_t>& chosen, const TextUnit& unit,
                       const ClusterScores& scores, const std::string& reference,
                       const std::vector<const Model*>& models) {
  GroupedAnswers answers;
  answers.unit = unit.name;
  answers.examples = {.name = data.name, .hash = data.hash, .count = static_cast<int64_t>(chosen.size())};
  answers.examples.attributes.push_back({"group", {}});
  double tokens = 0, parts = 0;
  for (const size_t c : chosen) {
    const TextFigures& own = scores.reference[c];
    answers.examples.attributes[0].values.push_back(data.clusters[c].group);
    answers.examples.clusters.push_back(drawn_with(data, c));
    answers.examples.weights.push_back(unit.weight(own, data.clusters[c]));
    tokens += static_cast<double>(own.tokens);
    parts += unit.parts(own, data.clusters[c]);
  }
  answers.tokens_per_unit = tokens / parts;
  answers.reference = answers_of(reference, scores.reference, data, chosen, unit);
  for (size_t m = 0; m < models.size(); ++m) {
    answers.models.push_back(answers_of(models[m]->source().name, scores.models[m], data, chosen, unit));
    Answers& rescaled = answers.rescaled.emplace_back();
    rescaled.model = models[m]->source().name + ", rescaled";
    for (const size_t c : chosen)
      rescaled.loss_nats.push_back(scores.rescaled[m][c] / unit.parts(scores.reference[c], data.clusters[c]));
  }
  return answers;
}

/// Clusters of documents that several groups have a version of.
std::vector<size_t> parallel_documents(const EvaluationData& data) {
  std::map<int64_t, std::set<std::string>> groups;
  for (const Cluster& cluster : data.clusters)
    if (cluster.version_of >= 0) groups[cluster.version_of].insert(cluster.group);
  std::vector<size_t> chosen;
  for (size_t c = 0; c < data.clusters.size(); ++c)
    if (data.clusters[c].version_of >= 0 && groups[data.clusters[c].version_of].size() > 1) chosen.push_back(c);
  return chosen;
}

double total_variance(const std::vector<TextFigures>& windows) {
  double total = 0;
  for (const TextFigures& window : windows) total += window.logit_variance;
  return total;
}

}  // namespace

std::vector<GroupedAnswers> answer_documents(const Model& reference, const std::vector<const Model*>& models,
                                             const EvaluationData& data, const EvaluateOptions& options,
                                             ProgressSink* progress) {
  const TextScores scores = score_texts(reference, models, data, options, progress);
  ClusterScores clusters{by_cluster(data, scores.reference), {}, {}};
  std::vector<double> factors;
  for (const auto& windows : scores.models) {
    clusters.models.push_back(by_cluster(data, windows));
    const double after = total_variance(windows);
    if (!(after > 0))
      fail(ErrorKind::kInvalidArgument, "groups: {}: all logits of {} are equal", data.name,
           models[factors.size()]->source().name);
    factors.push_back(std::sqrt(total_variance(scores.reference) / after));
  }
  if (!models.empty())
    for (const auto& windows : rescaled_losses(models, factors, data, options, progress))
      clusters.rescaled.push_back(by_cluster(data, windows));

  std::vector<size_t> everything(data.clusters.size());
  for (size_t c = 0; c < everything.size(); ++c) everything[c] = c;
  const std::string& name = reference.source().name;
  std::vector<GroupedAnswers> answers{in_unit(data, everything, kToken, clusters, name, models)};
  const bool documents =
      std::all_of(data.clusters.begin(), data.clusters.end(), [](const Cluster& c) { return c.bytes > 0; });
  if (documents) answers.push_back(in_unit(data, everything, kByte, clusters, name, models));
  if (const std::vector<size_t> parallel = parallel_documents(data); documents && !parallel.empty())
    answers.push_back(in_unit(data, parallel, kDocument, clusters, name, models));
  return answers;
}

}  // namespace vernier
