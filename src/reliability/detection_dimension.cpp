#include "reliability/detection_dimension.h"

#include <fmt/format.h>

#include "base/fail.h"
#include "reliability/paired_bootstrap.h"
#include "vernier/out_of_distribution.h"

namespace vernier {

namespace {

struct DetectionRow {
  const char *key, *name;
  Worse worse;
  double Detection::*value;
};

const DetectionRow kDetectionRows[] = {
    {"auroc", "AUROC", Worse::kLower, &Detection::auroc},
    {"aupr_in", "area under precision and recall of inside", Worse::kLower, &Detection::aupr_in},
    {"aupr_out", "area under precision and recall of outside", Worse::kLower, &Detection::aupr_out},
    {"fpr95", "false positives at 95% true ones", Worse::kHigher, &Detection::fpr95},
};

std::vector<double> detection_scores(const OodScore& score, const std::vector<float>& logits, int64_t classes) {
  const auto width = static_cast<size_t>(classes);
  std::vector<double> scores;
  for (size_t i = 0; i < logits.size(); i += width)
    scores.push_back(score.of_logits(std::span(logits).subspan(i, width)));
  return scores;
}

}  // namespace

ReliabilityDimension detection_dimension(const std::vector<DetectionSubject>& subjects,
                                         const ReliabilityOptions& options) {
  const DetectionSubject& first = subjects.front();
  std::vector<std::string> names;
  for (const DetectionSubject& subject : subjects) {
    if (subject.inside.size() != first.inside.size() || subject.outside.size() != first.outside.size())
      fail(ErrorKind::kInvalidArgument, "reliability: {} and {} answer different examples", first.name, subject.name);
    names.push_back(subject.name);
  }
  const auto width = static_cast<size_t>(first.classes);
  const size_t inside = first.inside.size() / width, outside = first.outside.size() / width;
  ReliabilityDimension dimension{"out_of_distribution", "Out of distribution"};
  dimension.notes = {fmt::format("{} examples inside, {} outside", inside, outside)};
  const PairedBootstrap bootstrap({inside, outside}, options);
  for (const OodScore& score : ood_scores()) {
    std::vector<DetectionSweep> sweeps;
    for (const DetectionSubject& subject : subjects)
      sweeps.emplace_back(detection_scores(score, subject.inside, first.classes),
                          detection_scores(score, subject.outside, first.classes));
    std::vector<WeightedFigures> models;
    for (const DetectionSweep& sweep : sweeps)
      models.push_back([&sweep](std::span<const double> weights, std::span<double> out) {
        const Detection found = sweep.of(weights);
        for (size_t f = 0; f < std::size(kDetectionRows); ++f) out[f] = found.*kDetectionRows[f].value;
      });
    const auto values = bootstrap.compare(models, std::size(kDetectionRows));
    for (size_t f = 0; f < std::size(kDetectionRows); ++f) {
      ReliabilityRow row{kDetectionRows[f].key, kDetectionRows[f].name, "share", kDetectionRows[f].worse,
                         std::string(score.key)};
      for (const auto& model : values) row.models.push_back(model[f]);
      dimension.rows.push_back(std::move(row));
    }
  }
  ReliabilityRow headline = dimension.rows.front();
  headline.name = "AUROC of the greatest probability";
  dimension.summary = verdicts_of(headline, names, "detection of what it was never taught");
  return dimension;
}

}  // namespace vernier
