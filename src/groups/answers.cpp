#include <algorithm>
#include <cmath>

#include "base/fail.h"
#include "vernier/groups.h"

namespace vernier {

namespace {

/// Everything that one example's logits say, whatever is right.
void add_row(Answers& answers, std::span<const float> row) {
  const auto greatest = std::max_element(row.begin(), row.end());
  double total = 0, mean = 0;
  for (const float logit : row) {
    total += std::exp(static_cast<double>(logit) - *greatest);
    mean += logit;
  }
  mean /= static_cast<double>(row.size());
  const double log_total = std::log(total) + *greatest;
  double entropy = 0, squares = 0;
  for (const float logit : row) {
    const double log_p = logit - log_total;
    entropy -= std::exp(log_p) * log_p;
    squares += (logit - mean) * (logit - mean);
  }
  answers.predicted.push_back(static_cast<int32_t>(greatest - row.begin()));
  answers.logit_variance.push_back(squares / static_cast<double>(row.size()));
  answers.entropy_nats.push_back(entropy);
  answers.confidence.push_back(1 / total);
}

void add_label(Answers& answers, std::span<const float> row, int32_t label) {
  const double right = row[static_cast<size_t>(label)];
  double greatest = -std::numeric_limits<double>::infinity(), total = 0;
  for (size_t c = 0; c < row.size(); ++c) {
    if (static_cast<int32_t>(c) != label) greatest = std::max<double>(greatest, row[c]);
    total += std::exp(row[c] - right);
  }
  answers.loss_nats.push_back(std::log(total));
  answers.margin.push_back(right - greatest);
  answers.correct.push_back(answers.predicted.back() == label ? 1 : 0);
}

}  // namespace

Answers answers_of_logits(const std::string& model, std::span<const float> logits, int64_t classes,
                          std::span<const int32_t> labels) {
  const auto width = static_cast<size_t>(std::max<int64_t>(classes, 0));
  if (width < 2 || logits.size() != labels.size() * width)
    fail(ErrorKind::kInvalidArgument, "groups: {}: {} logits, expected {} examples of {} classes, at least 2", model,
         logits.size(), labels.size(), classes);
  const bool labelled = std::none_of(labels.begin(), labels.end(), [](int32_t label) { return label == -1; });
  Answers answers;
  answers.model = model;
  answers.logits.assign(logits.begin(), logits.end());
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto row = logits.subspan(i * width, width);
    if (!std::all_of(row.begin(), row.end(), [](float logit) { return std::isfinite(logit); }))
      fail(ErrorKind::kInvalidArgument, "groups: {}: example {} has a logit that is no finite number", model, i);
    if (labels[i] < -1 || labels[i] >= classes)
      fail(ErrorKind::kInvalidArgument, "groups: {}: example {} has label {}, expected 0 to {}", model, i, labels[i],
           classes - 1);
    add_row(answers, row);
    if (labelled) add_label(answers, row, labels[i]);
  }
  return answers;
}

Answers modal_answers(std::span<const Answers> models, std::span<const int32_t> labels) {
  if (models.empty()) fail(ErrorKind::kInvalidArgument, "groups: modal answers of no models");
  Answers modal;
  modal.model = "most frequent of " + std::to_string(models.size());
  for (const Answers& answers : models)
    if (answers.predicted.size() != models[0].predicted.size() || answers.predicted.empty())
      fail(ErrorKind::kInvalidArgument, "groups: {} predicts {} classes, {} {}; expected the same examples",
           models[0].model, models[0].predicted.size(), answers.model, answers.predicted.size());
  for (size_t i = 0; i < models[0].predicted.size(); ++i) {
    const auto votes = [&](int32_t predicted) {
      return std::count_if(models.begin(), models.end(), [&](const Answers& m) { return m.predicted[i] == predicted; });
    };
    int32_t winner = models[0].predicted[i];
    for (const Answers& answers : models)
      if (votes(answers.predicted[i]) > votes(winner)) winner = answers.predicted[i];
    modal.predicted.push_back(winner);
    if (i < labels.size()) modal.correct.push_back(winner == labels[i] ? 1 : 0);
  }
  return modal;
}

}  // namespace vernier
