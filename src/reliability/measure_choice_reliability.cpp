// Language models on questions with several answers: how sure they are of the one that they find likeliest.

#include <fmt/format.h>

#include <algorithm>

#include "base/fail.h"
#include "base/hash.h"
#include "evaluate/text_figures.h"
#include "reliability/confidence_dimension.h"
#include "reliability/part_store.h"
#include "reliability/reliability_request.h"
#include "reliability/subject_identity.h"
#include "vernier/measure_reliability.h"

namespace vernier {

namespace {

/// Logit of an answer that a question does not have: e^this is 0 at any temperature.
constexpr float kNoAnswer = -1e9f;

/// Log-likelihoods in nats of every window's scored tokens.
std::vector<double> log_likelihoods(const ReliabilitySubject& subject, const ScoredTexts& texts,
                                    const ComputeOptions& compute, ProgressSink* progress) {
  const EvaluateOptions options{.compute = compute, .activations = subject.activations, .ranges = subject.ranges};
  std::vector<double> values;
  for (const TextFigures& window : score_texts(*subject.model, {}, texts.data, options, progress).reference)
    values.push_back(-window.nll_nats);
  return values;
}

/// [questions, classes], `sums` being one per window.
std::vector<float> question_logits(const std::vector<ChoiceItem>& items, const ScoredTexts& texts,
                                   const std::vector<double>& sums, size_t classes) {
  std::vector<float> logits(items.size() * classes, kNoAnswer);
  for (size_t w = 0; w < sums.size(); ++w) {
    const ScoredText& text = texts.text[w];
    logits[static_cast<size_t>(text.item) * classes + static_cast<size_t>(text.choice)] = static_cast<float>(sums[w]);
  }
  return logits;
}

}  // namespace

Reliability measure_choice_reliability(const std::vector<ReliabilitySubject>& subjects,
                                       const std::vector<ChoiceItem>& items, const ScoredTexts& texts,
                                       const ReliabilityRequest& request, ProgressSink* progress) {
  if (subjects.empty()) fail(ErrorKind::kInvalidArgument, "reliability: no model given");
  check_text_request(request, /*perturbed=*/false);
  if (items.size() < 2)
    fail(ErrorKind::kInvalidArgument, "reliability: {}: {} questions, expected at least 2", texts.data.name,
         items.size());
  size_t classes = 0;
  std::vector<int32_t> labels;
  GroupAttribute group{"group", {}};
  for (const ChoiceItem& item : items) {
    classes = std::max(classes, item.choices.size());
    labels.push_back(item.answer);
    group.values.push_back(item.group);
  }
  Reliability result{texts.data.name, texts.data.hash, static_cast<int64_t>(items.size()), {}, request.options, {}};
  name_first(subjects, result);
  // A part per model, whatever the others are.
  const auto parts_of = [&](const ReliabilitySubject& subject) {
    return PartStore(request.parts, request.parts.empty() ? ""
                                                          : texts.data.hash + identity_of_subject(subject) +
                                                                identity_of_compute(request.classify.compute));
  };
  std::vector<ConfidenceSubject> confidence;
  for (const ReliabilitySubject& subject : subjects) {
    const PartStore parts = parts_of(subject);
    const auto sums =
        parts
            .get("answers of " + subject.name,
                 [&] { return Json(log_likelihoods(subject, texts, request.classify.compute, progress)); })
            .get<std::vector<double>>();
    const std::vector<float> logits = question_logits(items, texts, sums, classes);
    const auto width = static_cast<int64_t>(classes);
    confidence.push_back({subject.name, predictions_of_logits(logits, width, labels),
                          refit_temperature(logits, width, labels).predictions,
                          fit_temperature(logits, width, labels)});
    confidence.back().predictions.classes = 0;  // an answer's place is no class
    result.models.push_back(subject.name);
  }
  result.dimensions.push_back(confidence_dimension(confidence, {group}, {}, request.options));
  result.dimensions.back().notes.emplace_back(
      "a question's logits are the log-likelihoods of its answers, in nats over all of an answer's tokens");
  add_headlines(result);
  for (const ReliabilitySubject& subject : subjects) parts_of(subject).remove();
  return result;
}

}  // namespace vernier
