// Language models: how sure they are of the next token, and what careless writing costs them.

#include <fmt/format.h>

#include <algorithm>

#include "base/fail.h"
#include "base/hash.h"
#include "reliability/confidence_dimension.h"
#include "reliability/paired_bootstrap.h"
#include "reliability/part_store.h"
#include "reliability/reliability_request.h"
#include "reliability/subject_identity.h"
#include "reliability/token_predictions.h"
#include "vernier/measure_reliability.h"
#include "vernier/text_perturbations.h"

namespace vernier {

namespace {

Json predictions_json(const Predictions& own) {
  return {{"confidence", own.confidence}, {"correct", own.correct}, {"loss_nats", own.loss_nats}, {"brier", own.brier}};
}

Json sayings_json(const std::vector<TokenSayings>& models) {
  Json json = Json::array();
  for (const TokenSayings& own : models)
    json.push_back({{"predictions", predictions_json(own.predictions)},
                    {"halves", Json::array({own.halves[0].json(), own.halves[1].json()})}});
  return json;
}

std::vector<TokenSayings> sayings_from(const Json& json) {
  std::vector<TokenSayings> models;
  for (const Json& own : json) {
    TokenSayings& said = models.emplace_back();
    const Json& predictions = own["predictions"];
    said.predictions.confidence = predictions["confidence"].get<std::vector<double>>();
    said.predictions.correct = predictions["correct"].get<std::vector<double>>();
    said.predictions.loss_nats = predictions["loss_nats"].get<std::vector<double>>();
    said.predictions.brier = predictions["brier"].get<std::vector<double>>();
    for (size_t half = 0; half < 2; ++half) said.halves[half] = StreamedTemperature::from(own["halves"][half]);
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
ReliabilityRow careless_row(const CarelessRow& row, const std::vector<TokenSayings>& models,
                            const PairedBootstrap& bootstrap, const std::string& condition, int severity) {
  std::vector<WeightedFigures> means;
  for (const TokenSayings& own : models)
    means.push_back([&values = own.predictions.*row.values](std::span<const double> weights, std::span<double> out) {
      double sum = 0, total = 0;
      for (size_t i = 0; i < values.size(); ++i) sum += weights[i] * values[i], total += weights[i];
      out[0] = sum / total;
    });
  ReliabilityRow result{row.key, row.name, row.unit, row.worse, condition, static_cast<double>(severity)};
  for (const auto& model : bootstrap.compare(means, 1)) result.models.push_back(model.front());
  return result;
}

/// The mean over all conditions; its intervals are the means of theirs, as if all erred together.
ReliabilityRow mean_of_rows(const std::vector<ReliabilityRow>& rows, const CarelessRow& figure) {
  ReliabilityRow mean{figure.key, fmt::format("{} over all of them", figure.name), figure.unit, figure.worse};
  double count = 0;
  for (const ReliabilityRow& row : rows) {
    if (row.key != figure.key) continue;
    mean.models.resize(row.models.size());
    ++count;
    for (size_t m = 0; m < row.models.size(); ++m) {
      ComparedValue& sum = mean.models[m];
      const ComparedValue& own = row.models[m];
      sum.value += own.value, sum.change += own.change;
      sum.interval.low += own.interval.low, sum.interval.high += own.interval.high;
      sum.change_interval.low += own.change_interval.low, sum.change_interval.high += own.change_interval.high;
    }
  }
  for (ComparedValue& sum : mean.models)
    for (double* value : {&sum.value, &sum.change, &sum.interval.low, &sum.interval.high, &sum.change_interval.low,
                          &sum.change_interval.high})
      *value /= count;
  return mean;
}

class TextSuite {
 public:
  TextSuite(const std::vector<ReliabilitySubject>& subjects, const ReliabilityRequest& request, const PartStore& parts,
            ProgressSink* progress)
      : request_(request), parts_(parts), progress_(progress), predictions_(subjects, request.classify.compute) {
    for (const ReliabilitySubject& subject : subjects) names_.push_back(subject.name);
  }

  ReliabilityDimension confidence(const EvaluationData& data) {
    const std::vector<TokenSayings> plain = said("confidence", data, nullptr);
    TokenPredictions::Temperatures of_other_half;
    std::vector<ConfidenceSubject> subjects;
    bool refits = true;
    for (size_t m = 0; m < names_.size(); ++m) {
      const auto& halves = plain[m].halves;
      StreamedTemperature all = halves[0];
      all.add(halves[1]);
      subjects.push_back({names_[m], plain[m].predictions, {}, all.fit()});
      of_other_half.push_back({halves[1].fit(), halves[0].fit()});
      refits = refits && !halves[0].empty() && !halves[1].empty();
    }
    if (refits) {
      const std::vector<TokenSayings> refitted = said("confidence after a refit", data, &of_other_half);
      for (size_t m = 0; m < names_.size(); ++m) subjects[m].refitted = refitted[m].predictions;
    }
    ReliabilityDimension dimension =
        confidence_dimension(subjects, groups_of(data), clusters_of(data), request_.options);
    if (refits)
      dimension.notes.back() =
          "after a refit: one temperature, the windows of even and odd documents by that of the other half; within 1/4 "
          "to 4";
    return dimension;
  }

  ReliabilityDimension careless(const PerturbedWindows& perturbed) {
    ReliabilityDimension dimension{"careless_text", "Text written carelessly"};
    dimension.notes = {"a text that is perturbed has other tokens, and more of them: compare models, not severities"};
    for (const TextPerturbation& row : text_perturbations())
      for (int severity = 1; severity <= request_.options.severities; ++severity) {
        const EvaluationData on = perturbed(row.key, severity);
        const std::vector<TokenSayings> found = said(fmt::format("text {} {}", row.key, severity), on, nullptr);
        const PairedBootstrap bootstrap({}, request_.options, clusters_of(on));
        for (const CarelessRow& figure : kCareless)
          dimension.rows.push_back(careless_row(figure, found, bootstrap, std::string(row.key), severity));
      }
    const ReliabilityRow loss = mean_of_rows(dimension.rows, kCareless[0]),
                         accuracy = mean_of_rows(dimension.rows, kCareless[1]);
    dimension.summary = verdicts_of(loss, names_, "text written carelessly");
    dimension.rows.insert(dimension.rows.begin(), {loss, accuracy});
    return dimension;
  }

 private:
  /// In parts of some windows, so that whoever is killed has lost little.
  std::vector<TokenSayings> said(const std::string& key, const EvaluationData& on,
                                 const TokenPredictions::Temperatures* temperatures) {
    constexpr size_t kWindows = 64;
    const size_t windows = on.windows.size();
    if (progress_ != nullptr) progress_->begin(key, static_cast<int64_t>(windows), "windows");
    SharedProgress shared(progress_);
    std::vector<TokenSayings> all(names_.size());
    for (size_t begin = 0; begin < windows; begin += kWindows) {
      const size_t end = std::min(begin + kWindows, windows);
      const std::string part = fmt::format("{} from window {}", key, begin);
      if (parts_.has(part)) shared.add(static_cast<int64_t>(end - begin));
      const std::vector<TokenSayings> own = sayings_from(
          parts_.get(part, [&] { return sayings_json(predictions_.on(on, begin, end, temperatures, shared)); }));
      for (size_t m = 0; m < all.size(); ++m) append_sayings(all[m], own[m]);
    }
    if (progress_ != nullptr) progress_->end();
    return all;
  }

  const ReliabilityRequest& request_;
  const PartStore& parts_;
  ProgressSink* progress_;
  TokenPredictions predictions_;
  std::vector<std::string> names_;
};

}  // namespace

Reliability measure_text_reliability(const std::vector<ReliabilitySubject>& subjects, const EvaluationData& data,
                                     const ReliabilityRequest& request, const PerturbedWindows& perturbed,
                                     ProgressSink* progress) {
  if (subjects.empty()) fail(ErrorKind::kInvalidArgument, "reliability: no model given");
  check_text_request(request, perturbed != nullptr);
  Hasher hasher;
  hasher.add(data.hash);
  hasher.add(fmt::format("{} {}", request.options.seed, request.options.severities));
  hasher.add(identity_of_compute(request.classify.compute));
  if (!request.parts.empty())
    for (const ReliabilitySubject& subject : subjects) hasher.add(identity_of_subject(subject));
  const PartStore parts(request.parts, hasher.hex());
  TextSuite suite(subjects, request, parts, progress);
  Reliability result{data.name, data.hash, data.scored_tokens(), {}, request.options, {}};
  name_first(subjects, result);
  for (const ReliabilitySubject& subject : subjects) result.models.push_back(subject.name);
  if (wants_dimension(request, "confidence")) result.dimensions.push_back(suite.confidence(data));
  if (perturbed && wants_dimension(request, "careless_text")) result.dimensions.push_back(suite.careless(perturbed));
  add_headlines(result);
  parts.remove();
  return result;
}

}  // namespace vernier
