#include "evaluate/scores.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "base/fail.h"
#include "base/statistics.h"
#include "evaluate/tails.h"
#include "vernier/metric.h"

namespace vernier {

namespace {

/// A metric that can be had, and its sum per distinct cluster.
struct Column {
  const Metric* metric;
  size_t of;  // of the measures
  std::optional<size_t> minus;
  std::vector<double> sums;
};

std::vector<Column> columns_of(const std::vector<const Measure*>& measures) {
  const auto index_of = [&](const Measure* measure) -> std::optional<size_t> {
    const auto it = std::find(measures.begin(), measures.end(), measure);
    if (it == measures.end()) return std::nullopt;
    return static_cast<size_t>(it - measures.begin());
  };
  std::vector<Column> columns;
  for (const Metric& metric : metrics()) {
    const auto of = index_of(metric.of), minus = index_of(metric.minus);
    if (of && (minus || metric.minus == nullptr)) columns.push_back({&metric, *of, minus, {}});
  }
  return columns;
}

/// One entry per distinct cluster (window or document): copies add to the first of their kind.
struct ClusterSums {
  std::vector<Column> columns;
  std::vector<double> tokens;
  std::vector<double> documents, bytes;  // 0 for windows of running text
  std::unordered_map<int64_t, size_t> row_of;
  int64_t last_cluster = -1;

  void add(const WindowSums& w, const EvaluationData& data, const TokenWindow& window) {
    const auto [it, is_new] = row_of.try_emplace(data.distinct_cluster(window), tokens.size());
    if (is_new) {
      for (auto* counts : {&tokens, &documents, &bytes}) counts->push_back(0);
      for (Column& column : columns) column.sums.push_back(0);
    }
    const size_t row = it->second;
    tokens[row] += static_cast<double>(w.tokens);
    for (Column& column : columns)
      column.sums[row] += column.minus ? w.sums[column.of] - w.sums[*column.minus] : w.sums[column.of];
    if (window.cluster == last_cluster) return;  // a document's windows follow each other
    last_cluster = window.cluster;
    const auto length = data.clusters[static_cast<size_t>(window.cluster)].bytes;
    documents[row] += length > 0 ? 1 : 0;
    bytes[row] += static_cast<double>(length);
  }

  const std::vector<double>& counts(Per per) const {
    switch (per) {
      case Per::kToken: return tokens;
      case Per::kDocument: return documents;
      case Per::kByte: return bytes;
      case Per::kImage: break;  // image_scores.cpp
    }
    fail(ErrorKind::kInternal, "evaluate: a metric per {}", static_cast<int>(per));
  }
};

Scores scores_of(const ClusterSums& s) {
  Scores scores;
  for (const double tokens : s.tokens) scores.tokens += static_cast<int64_t>(tokens);
  for (const double bytes : s.bytes) scores.bytes += static_cast<int64_t>(bytes);
  // Documents or not at all: what is per document must not leave out a part of the text.
  if (std::none_of(s.documents.begin(), s.documents.end(), [](double n) { return n == 0; })) {
    for (const double n : s.documents) scores.documents += static_cast<int64_t>(n);
    scores.distinct_documents = static_cast<int64_t>(s.documents.size());
  }
  for (const Column& column : s.columns) {
    const Metric& metric = *column.metric;
    if (metric.needs_documents() && scores.documents == 0) continue;
    const Measured mean = ratio_estimate(column.sums, s.counts(metric.per));
    scores.metrics.emplace(metric.key, metric.finish != nullptr ? metric.finish(mean) : mean);
  }
  return scores;
}

}  // namespace

const Measured* Scores::find(std::string_view key) const {
  const auto it = metrics.find(key);
  return it == metrics.end() ? nullptr : &it->second;
}

const Measured& Scores::at(std::string_view key) const {
  if (const Measured* value = find(key)) return *value;
  for (const Metric& metric : vernier::metrics())
    if (metric.key == key)
      fail(ErrorKind::kInvalidArgument, "scores: {} was not measured: it takes{}{}", key,
           metric.needs_reference() ? " a reference" : "",
           metric.needs_documents() ? metric.needs_reference() ? " and documents" : " documents" : "");
  fail(ErrorKind::kInvalidArgument, "scores: there is no metric {}", key);
}

void WindowSums::add(ExampleOutcome outcome) {
  ++tokens;
  sums.resize(outcome.size());
  for (size_t i = 0; i < outcome.size(); ++i) sums[i] += outcome[i];
}

void WindowSums::add_tails(const TokenDamage& damage) {
  token_kl.push_back(damage.kl);
  token_delta_p.push_back(std::exp(-damage.nll) - std::exp(-damage.reference_nll));
}

Evaluation summarize(const EvaluationData& data, const std::vector<const Measure*>& measures,
                     std::vector<WindowSums>& windows, bool compared) {
  Evaluation evaluation;
  evaluation.data = {data.name, data.hash, data.context, static_cast<int64_t>(windows.size())};
  ClusterSums all;
  all.columns = columns_of(measures);
  std::map<std::string, ClusterSums> groups;
  for (size_t w = 0; w < windows.size(); ++w) {
    const TokenWindow& window = data.windows[w];
    const std::string& group = data.clusters[static_cast<size_t>(window.cluster)].group;
    all.add(windows[w], data, window);
    if (group.empty()) continue;
    const auto [it, is_new] = groups.try_emplace(group);
    if (is_new) it->second.columns = columns_of(measures);
    it->second.add(windows[w], data, window);
  }
  evaluation.all = scores_of(all);
  for (const auto& [group, sums] : groups) evaluation.groups[group] = scores_of(sums);
  if (compared) {
    std::vector<float> kl, delta_p;
    for (const WindowSums& w : windows) {
      kl.insert(kl.end(), w.token_kl.begin(), w.token_kl.end());
      delta_p.insert(delta_p.end(), w.token_delta_p.begin(), w.token_delta_p.end());
    }
    evaluation.tails = tails_of(kl, delta_p);
  }
  if (!windows.empty() && !windows.front().scores.empty())
    for (WindowSums& window : windows) evaluation.tokens.push_back(std::move(window.scores));
  return evaluation;
}

}  // namespace vernier
