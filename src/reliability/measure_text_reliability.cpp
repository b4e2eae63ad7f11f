// Language models: how sure they are of the next token, and what careless writing costs them.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/fail.h"
#include "base/hash.h"
#include "base/shared_progress.h"
#include "engine/engine.h"
#include "model/language_model.h"
#include "ops/parallel.h"
#include "ops/scored_tokens.h"
#include "reliability/confidence_dimension.h"
#include "reliability/paired_bootstrap.h"
#include "reliability/part_store.h"
#include "vernier/measure_reliability.h"
#include "vernier/text_perturbations.h"

namespace vernier {

namespace {

/// Each model's predictions of every scored token, window by window.
class TokenPredictions {
 public:
  TokenPredictions(const std::vector<ReliabilitySubject>& subjects, const ComputeOptions& compute)
      : subjects_(subjects), type_(compute.type), engine_(make_engine(compute)) {
    for (const ReliabilitySubject& subject : subjects)
      require_language_model(subject.model->config(), subject.name, "reliability");
    arenas_ = std::vector<Arena>(static_cast<size_t>(engine_->workers()));
  }

  /// [model]
  std::vector<Predictions> on(const EvaluationData& data, SharedProgress& progress) {
    prepare(data.longest());
    std::vector<std::vector<Predictions>> by_window(data.windows.size());
    const size_t batch = sequences_at_once(models_.front()->config(), data.longest(), engine_->workers());
    for (size_t first = 0; first < data.windows.size(); first += batch) {
      const size_t end = std::min(first + batch, data.windows.size());
      std::vector<Sequence> sequences;
      for (size_t w = first; w < end; ++w) {
        const std::span<const int32_t> tokens(data.windows[w].tokens);
        sequences.push_back({tokens.first(tokens.size() - 1), data.windows[w].first_row});
      }
      for (const auto& model : models_) model->run(sequences, {});
      parallel_for(static_cast<int64_t>(sequences.size()), engine_->workers(), [&](int64_t i, int worker) {
        const size_t w = first + static_cast<size_t>(i);
        by_window[w] = of_window(data.windows[w], static_cast<size_t>(i), arenas_[static_cast<size_t>(worker)]);
        progress.add(1);
      });
    }
    std::vector<Predictions> all(models_.size());
    for (const auto& window : by_window)
      for (size_t m = 0; m < all.size(); ++m) append(all[m], window[m]);
    return all;
  }

 private:
  /// Anew for a longer text: a perturbed one may have more tokens.
  void prepare(int64_t positions) {
    if (positions <= positions_) return;
    positions_ = positions;
    models_.clear();
    for (const ReliabilitySubject& subject : subjects_)
      models_.push_back(engine_->prepare(*subject.model, {type_, positions}));
  }

  std::vector<Predictions> of_window(const TokenWindow& window, size_t index, Arena& arena) const {
    const Arena::Scope scope(arena);
    std::vector<TileLogits> logits;
    for (const auto& model : models_) logits.push_back(model->logits(arena, index));
    std::vector<Predictions> said(models_.size());
    for_each_scored_token(
        arena, std::span<const int32_t>(window.tokens).subspan(static_cast<size_t>(window.first_row) + 1),
        models_.front()->config().vocabulary, {}, logits, [&](const ScoredToken& token) {
          if (!std::isfinite(token.damage.nll))
            fail(ErrorKind::kBadFile, "reliability: {}: the logits of a token are not finite",
                 models_[token.model]->name());
          said[token.model].add({token.logits, static_cast<size_t>(token.vocabulary)}, token.label, 1, false);
        });
    return said;
  }

  static void append(Predictions& all, const Predictions& more) {
    const auto add = [](std::vector<double>& to, const std::vector<double>& from) {
      to.insert(to.end(), from.begin(), from.end());
    };
    add(all.confidence, more.confidence);
    add(all.correct, more.correct);
    add(all.loss_nats, more.loss_nats);
    add(all.brier, more.brier);
  }

  const std::vector<ReliabilitySubject>& subjects_;
  const ComputeType type_;
  std::unique_ptr<Engine> engine_;
  int64_t positions_ = 0;
  std::vector<std::unique_ptr<PreparedModel>> models_;
  std::vector<Arena> arenas_;
};

Json predictions_json(const std::vector<Predictions>& models) {
  Json json = Json::array();
  for (const Predictions& own : models)
    json.push_back(
        {{"confidence", own.confidence}, {"correct", own.correct}, {"loss_nats", own.loss_nats}, {"brier", own.brier}});
  return json;
}

std::vector<Predictions> predictions_from(const Json& json) {
  std::vector<Predictions> models;
  for (const Json& own : json) {
    Predictions& said = models.emplace_back();
    said.confidence = own["confidence"].get<std::vector<double>>();
    said.correct = own["correct"].get<std::vector<double>>();
    said.loss_nats = own["loss_nats"].get<std::vector<double>>();
    said.brier = own["brier"].get<std::vector<double>>();
  }
  return models;
}

/// Of every scored token, the unit that is drawn again.
std::vector<int32_t> clusters_of(const EvaluationData& data) {
  std::vector<int32_t> clusters;
  for (size_t w = 0; w < data.windows.size(); ++w)
    clusters.insert(clusters.end(), static_cast<size_t>(data.windows[w].scored()),
                    static_cast<int32_t>(data.distinct_cluster(data.windows[w])));
  return clusters;
}

std::vector<GroupAttribute> groups_of(const EvaluationData& data) {
  GroupAttribute group{"group", {}};
  for (const TokenWindow& window : data.windows)
    group.values.insert(group.values.end(), static_cast<size_t>(window.scored()),
                        data.clusters[static_cast<size_t>(window.cluster)].group);
  return {group};
}

struct CarelessRow {
  const char *key, *name, *unit;
  Worse worse;
  std::vector<double> Predictions::*values;
};
const CarelessRow kCareless[] = {
    {"loss_nats", "loss", "nats", Worse::kHigher, &Predictions::loss_nats},
    {"accuracy", "accuracy", "share", Worse::kLower, &Predictions::correct},
};

/// Means over the tokens of one text, drawn again by window.
ReliabilityRow careless_row(const CarelessRow& row, const std::vector<Predictions>& models,
                            const PairedBootstrap& bootstrap, const std::string& condition, int severity) {
  std::vector<WeightedFigures> means;
  for (const Predictions& own : models)
    means.push_back([&values = own.*row.values](std::span<const double> weights, std::span<double> out) {
      double sum = 0, total = 0;
      for (size_t i = 0; i < values.size(); ++i) sum += weights[i] * values[i], total += weights[i];
      out[0] = sum / total;
    });
  ReliabilityRow result{row.key, row.name, row.unit, row.worse, condition, static_cast<double>(severity)};
  for (const auto& model : bootstrap.compare(means, 1)) result.models.push_back(model.front());
  return result;
}

}  // namespace

Reliability measure_text_reliability(const std::vector<ReliabilitySubject>& subjects, const EvaluationData& data,
                                     const ReliabilityRequest& request, const PerturbedWindows& perturbed,
                                     ProgressSink* progress) {
  if (subjects.empty()) fail(ErrorKind::kInvalidArgument, "reliability: no model given");
  const ReliabilityOptions& options = request.options;
  Hasher hasher;
  hasher.add(data.hash);
  hasher.add(fmt::format("{} {}", options.seed, options.severities));
  if (!request.parts.empty())
    for (const ReliabilitySubject& subject : subjects) hasher.add(subject.name), hasher.add(model_hash(*subject.model));
  const PartStore parts(request.parts, hasher.hex());
  TokenPredictions predictions(subjects, request.classify.compute);
  const auto said = [&](const std::string& key, const EvaluationData& on) {
    return predictions_from(parts.get(key, [&] {
      if (progress != nullptr) progress->begin(key, static_cast<int64_t>(on.windows.size()), "windows");
      SharedProgress shared(progress);
      const Json json = predictions_json(predictions.on(on, shared));
      if (progress != nullptr) progress->end();
      return json;
    }));
  };

  Reliability result{data.name, data.hash, data.scored_tokens(), {}, options, {}};
  std::vector<ConfidenceSubject> confidence;
  std::vector<Predictions> plain = said("confidence", data);
  for (size_t m = 0; m < subjects.size(); ++m) {
    result.models.push_back(subjects[m].name);
    confidence.push_back({subjects[m].name, plain[m]});
  }
  result.dimensions.push_back(confidence_dimension(confidence, groups_of(data), clusters_of(data), options));
  if (perturbed) {
    ReliabilityDimension dimension{"careless_text", "Text written carelessly"};
    dimension.notes = {"a text that is perturbed has other tokens, and more of them: compare models, not severities"};
    for (const TextPerturbation& row : text_perturbations())
      for (int severity = 1; severity <= options.severities; ++severity) {
        const EvaluationData on = perturbed(row.key, severity);
        const std::vector<Predictions> found = said(fmt::format("text {} {}", row.key, severity), on);
        const PairedBootstrap bootstrap({}, options, clusters_of(on));
        for (const CarelessRow& figure : kCareless)
          dimension.rows.push_back(careless_row(figure, found, bootstrap, std::string(row.key), severity));
      }
    result.dimensions.push_back(std::move(dimension));
  }
  parts.remove();
  return result;
}

}  // namespace vernier
