#include "reliability/confidence_dimension.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/fail.h"
#include "reliability/confidence_figures.h"
#include "reliability/paired_bootstrap.h"

namespace vernier {

namespace {

constexpr size_t kSmallestGroup = 30;  // examples; below, bins are nearly empty
constexpr const char *kRefitted = "_refitted", *kAfterRefit = " after a refit";

Predictions subset_of(const Predictions& all, const std::vector<size_t>& which) {
  Predictions some;
  for (const size_t i : which) {
    some.confidence.push_back(all.confidence[i]);
    some.correct.push_back(all.correct[i]);
    some.loss_nats.push_back(all.loss_nats[i]);
    some.brier.push_back(all.brier[i]);
  }
  return some;
}

/// Numbers 0, 1, 2 ... for those that occur among `which`.
std::vector<int32_t> clusters_among(const std::vector<int32_t>& clusters, const std::vector<size_t>& which) {
  if (clusters.empty()) return {};
  std::map<int32_t, int32_t> numbers;
  std::vector<int32_t> result;
  for (const size_t i : which) result.push_back(numbers.emplace(clusters[i], numbers.size()).first->second);
  return result;
}

/// Rows of one set of predictions per model; `suffix` and `about` tell those after a refit apart.
std::vector<ReliabilityRow> confidence_rows_of(const std::vector<const Predictions*>& models,
                                               const std::vector<int32_t>& clusters, const ReliabilityOptions& options,
                                               const std::string& suffix = "", const std::string& about = "") {
  std::vector<ConfidenceFigures> figures;
  for (const Predictions* predictions : models) figures.emplace_back(*predictions, options.bins);
  std::vector<WeightedFigures> weighted;
  for (const ConfidenceFigures& own : figures)
    weighted.push_back([&own](std::span<const double> weights, std::span<double> out) { own.of(weights, out); });
  const auto& facts = confidence_figure_rows();
  const PairedBootstrap bootstrap({models[0]->size()}, options, clusters);
  const auto values = bootstrap.compare(weighted, facts.size());
  std::vector<std::vector<double>> right;  // accuracy is a mean: what no draw changes is not certain
  for (const Predictions* predictions : models)
    right.emplace_back(predictions->correct.begin(), predictions->correct.end());
  const std::vector<ComparedValue> accuracy = bootstrap.compare_means(right);
  std::vector<ReliabilityRow> rows;
  for (size_t f = 0; f < facts.size(); ++f) {
    ReliabilityRow row{std::string(facts[f].key) + suffix, std::string(facts[f].name) + about,
                       std::string(facts[f].unit), facts[f].worse};
    for (size_t m = 0; m < values.size(); ++m) {
      ComparedValue& own =
          row.models.emplace_back(facts[f].key == std::string_view("accuracy") ? accuracy[m] : values[m][f]);
      // Mirrored draws of a figure near its end reach beyond it. One that nothing is known of stays without an end.
      if (std::isfinite(own.interval.low)) own.interval.low = std::max(own.interval.low, facts[f].least);
      if (std::isfinite(own.interval.high) && facts[f].unit == "share")
        own.interval.high = std::min(own.interval.high, 1.0);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

ReliabilityRow plain_row(const std::string& key, const std::string& name, const std::string& unit, Worse worse,
                         const std::vector<double>& values) {
  ReliabilityRow row{key, name, unit, worse};
  constexpr ConfidenceInterval kUnknown{-INFINITY, INFINITY};
  for (const double value : values) row.models.push_back({value, kUnknown, value - values[0], kUnknown});
  return row;
}

const ReliabilityRow& row_named(const std::vector<ReliabilityRow>& rows, std::string_view key) {
  for (const ReliabilityRow& row : rows)
    if (row.key == key) return row;
  fail(ErrorKind::kInternal, "reliability: no row {}", key);
}

void add_groups(ReliabilityDimension& dimension, const std::vector<ConfidenceSubject>& subjects, bool refitted,
                const std::vector<GroupAttribute>& attributes, const std::vector<int32_t>& clusters,
                const ReliabilityOptions& options) {
  const auto add = [&](std::vector<ReliabilityRow> rows, const std::string& group) {
    for (size_t f = 0; f < rows.size(); ++f) {
      if (!confidence_figure_rows()[f].of_groups || rows[f].key == fmt::format("accuracy{}", kRefitted)) continue;
      rows[f].group = group;
      dimension.rows.push_back(std::move(rows[f]));
    }
  };
  for (auto known = attributes.begin(); known != attributes.end(); ++known) {
    const GroupAttribute& attribute = *known;
    // Manifests that name classes as groups say nothing twice.
    if (std::any_of(attributes.begin(), known, [&](const auto& other) { return other.values == attribute.values; }))
      continue;
    std::map<std::string, std::vector<size_t>> groups;
    for (size_t i = 0; i < attribute.values.size(); ++i)
      if (!attribute.values[i].empty()) groups[attribute.values[i]].push_back(i);
    for (const auto& [name, members] : groups) {
      const auto& which = members;  // a lambda takes no structured binding along
      if (which.size() < kSmallestGroup) continue;
      const auto rows_of = [&](Predictions ConfidenceSubject::*said, const char* suffix, const char* about) {
        std::vector<Predictions> some;
        for (const ConfidenceSubject& subject : subjects) some.push_back(subset_of(subject.*said, which));
        std::vector<const Predictions*> models;
        for (const Predictions& own : some) models.push_back(&own);
        return confidence_rows_of(models, clusters_among(clusters, which), options, suffix, about);
      };
      const std::string group = attribute.name + " " + name;
      add(rows_of(&ConfidenceSubject::predictions, "", ""), group);
      if (refitted) add(rows_of(&ConfidenceSubject::refitted, kRefitted, kAfterRefit), group);
    }
  }
}

/// Of all examples and of every group.
ConfidenceClaim claim_of(const std::vector<ReliabilityRow>& rows, const std::vector<std::string>& models,
                         double confidence) {
  std::vector<ConfidenceClaim::Case> cases;
  for (const ReliabilityRow& error : rows) {
    if (error.key != "ece") continue;
    const auto before = std::find_if(rows.begin(), rows.end(), [&](const ReliabilityRow& row) {
      return row.key == "ece_signed" && row.group == error.group;
    });
    for (size_t m = 1; m < models.size(); ++m)
      cases.push_back(
          {.model = models[m], .group = error.group, .before = before->models[0], .after = error.models[m]});
  }
  return judge_confidence_claim(std::move(cases), confidence);
}

/// Whether a quantized model is surer or less sure than it is right, beside the first one.
std::string leaning(const ReliabilityRow& signed_row, size_t model) {
  const ComparedValue& own = signed_row.models[model];
  const auto side = [](const ConfidenceInterval& interval) {
    return interval.low > 0    ? "over-confident"
           : interval.high < 0 ? "under-confident"
                               : "neither over- nor under-confident";
  };
  return fmt::format("; it is {} ({:+.2f}), the original {} ({:+.2f})", side(own.interval), 100 * own.value,
                     side(signed_row.models[0].interval), 100 * signed_row.models[0].value);
}

}  // namespace

ReliabilityDimension confidence_dimension(const std::vector<ConfidenceSubject>& subjects,
                                          const std::vector<GroupAttribute>& attributes,
                                          const std::vector<int32_t>& clusters, const ReliabilityOptions& options) {
  std::vector<const Predictions*> models, refitted;
  std::vector<std::string> names;
  std::vector<double> temperatures, classwise;
  for (const ConfidenceSubject& subject : subjects) {
    if (subject.predictions.size() != subjects[0].predictions.size() || subject.predictions.size() == 0)
      fail(ErrorKind::kInvalidArgument, "reliability: {} answers {} examples, {} {}; expected the same ones",
           subjects[0].name, subjects[0].predictions.size(), subject.name, subject.predictions.size());
    names.push_back(subject.name);
    models.push_back(&subject.predictions);
    if (subject.refitted.size() > 0) refitted.push_back(&subject.refitted);
    temperatures.push_back(subject.temperature);
    classwise.push_back(classwise_calibration_error(subject.predictions, options.bins));
  }
  ReliabilityDimension dimension{"confidence", "Confidence"};
  dimension.notes = {
      fmt::format("{} bins of equal width; intervals by drawing the same examples again for all models", options.bins)};
  dimension.rows = confidence_rows_of(models, clusters, options);
  dimension.summary = verdicts_of(row_named(dimension.rows, "ece"), names, "calibration");
  const ReliabilityRow& leans = row_named(dimension.rows, "ece_signed");
  for (size_t m = 1; m < subjects.size(); ++m) dimension.summary[m - 1].text += leaning(leans, m);
  if (subjects[0].predictions.classes > 0)
    dimension.rows.push_back(
        plain_row("ece_classwise", "calibration error, mean over classes", "share", Worse::kHigher, classwise));
  if (refitted.size() == subjects.size()) {
    dimension.notes.emplace_back(
        "after a refit: one temperature, each half of the examples by that of the other half; of CLIP the logit scale "
        "divided by it");
    dimension.rows.push_back(plain_row("temperature", "refitted temperature", "", Worse::kNeither, temperatures));
    for (ReliabilityRow& row : confidence_rows_of(refitted, clusters, options, kRefitted, kAfterRefit))
      if (row.key != "accuracy_refitted") dimension.rows.push_back(std::move(row));
  }
  add_groups(dimension, subjects, refitted.size() == subjects.size(), attributes, clusters, options);
  if (subjects.size() > 1) dimension.claim = claim_of(dimension.rows, names, options.confidence);
  for (const ConfidenceSubject& subject : subjects)
    dimension.diagrams.push_back({subject.name, reliability_bins(subject.predictions, {options.bins})});
  return dimension;
}

}  // namespace vernier
