#include <algorithm>
#include <cmath>

#include "base/fail.h"
#include "evaluate/text_figures.h"
#include "vernier/grouped_answers.h"

namespace vernier {

namespace {

std::vector<double> log_likelihoods_of(const std::vector<TextFigures>& windows) {
  std::vector<double> values;
  for (const TextFigures& window : windows) values.push_back(-window.nll_nats);
  return values;
}

/// The log-likelihoods of each question's answers times `factor` as logits.
Answers question_answers(const std::string& name, const std::vector<ChoiceItem>& items, const ScoredTexts& texts,
                         const std::vector<TextFigures>& windows, double factor = 1) {
  const std::vector<double> sums = log_likelihoods_of(windows);
  const std::vector<ChoiceAnswer> likeliest = choice_answers(items, texts, sums);
  Answers all;
  all.model = name;
  size_t window = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    std::vector<float> logits;
    for (size_t c = 0; c < items[i].choices.size(); ++c) logits.push_back(static_cast<float>(factor * sums[window++]));
    const int32_t label[] = {items[i].answer};
    const Answers own = answers_of_logits(name, logits, static_cast<int64_t>(logits.size()), label);
    for (const auto member : {&Answers::loss_nats, &Answers::correct, &Answers::logit_variance, &Answers::margin,
                              &Answers::entropy_nats, &Answers::confidence})
      (all.*member).push_back((own.*member)[0]);
    all.predicted.push_back(own.predicted[0]);
    all.normalized_correct.push_back(likeliest[i].normalized_correct ? 1 : 0);
  }
  return all;
}

double sum_of(const std::vector<double>& values) {
  double total = 0;
  for (const double value : values) total += value;
  return total;
}

/// Of both sentences of a pair together.
Answers pair_answers(const std::string& name, const std::vector<SentencePair>& pairs, const ScoredTexts& texts,
                     const std::vector<TextFigures>& windows) {
  const std::vector<double> preferences = pair_preferences(pairs, texts, log_likelihoods_of(windows));
  std::vector<TextFigures> both(pairs.size());
  for (size_t w = 0; w < windows.size(); ++w) both[static_cast<size_t>(texts.text[w].item)] += windows[w];
  Answers answers;
  answers.model = name;
  for (size_t i = 0; i < pairs.size(); ++i) {
    const auto tokens = static_cast<double>(both[i].tokens);
    answers.stereotyped.push_back(preferences[i] > 0 ? 1 : 0);
    answers.predicted.push_back(preferences[i] > 0 ? 0 : 1);
    answers.loss_nats.push_back(both[i].nll_nats / tokens);
    answers.kl_nats.push_back(both[i].kl_nats / tokens);
    answers.logit_variance.push_back(both[i].logit_variance / tokens);
    answers.entropy_nats.push_back(both[i].entropy_nats / tokens);
    answers.confidence.push_back(both[i].confidence / tokens);
  }
  return answers;
}

}  // namespace

std::vector<GroupedAnswers> answer_choices(const Model& reference, const std::vector<const Model*>& models,
                                           const std::vector<ChoiceItem>& items, const ScoredTexts& texts,
                                           const EvaluateOptions& options, ProgressSink* progress) {
  const TextScores scores = score_texts(reference, models, texts.data, options, progress);
  GroupedAnswers answers;
  answers.unit = "question";
  answers.examples = {.name = texts.data.name, .hash = texts.data.hash, .count = static_cast<int64_t>(items.size())};
  answers.examples.attributes.push_back({"group", {}});
  for (const ChoiceItem& item : items) {
    answers.examples.attributes[0].values.push_back(item.group);
    answers.examples.labels.push_back(item.answer);
  }
  answers.reference = question_answers(reference.source().name, items, texts, scores.reference);
  for (size_t m = 0; m < models.size(); ++m) {
    const std::string& name = models[m]->source().name;
    answers.models.push_back(question_answers(name, items, texts, scores.models[m]));
    const double before = sum_of(answers.reference.logit_variance), after = sum_of(answers.models[m].logit_variance);
    if (!(after > 0))
      fail(ErrorKind::kInvalidArgument, "groups: {}: all answers are equally likely to {}", texts.data.name, name);
    answers.rescaled.push_back(
        question_answers(name + ", rescaled", items, texts, scores.models[m], std::sqrt(before / after)));
  }
  return {answers};
}

std::vector<GroupedAnswers> answer_pairs(const Model& reference, const std::vector<const Model*>& models,
                                         const std::vector<SentencePair>& pairs, const ScoredTexts& texts,
                                         const EvaluateOptions& options, ProgressSink* progress) {
  const TextScores scores = score_texts(reference, models, texts.data, options, progress);
  GroupedAnswers answers;
  answers.unit = "sentence pair";
  answers.examples = {.name = texts.data.name, .hash = texts.data.hash, .count = static_cast<int64_t>(pairs.size())};
  answers.examples.attributes = {{"bias", {}}, {"direction", {}}};
  for (const SentencePair& pair : pairs) {
    answers.examples.attributes[0].values.push_back(pair.group);
    answers.examples.attributes[1].values.emplace_back(pair.stereotype ? "stereotype" : "against the stereotype");
  }
  answers.reference = pair_answers(reference.source().name, pairs, texts, scores.reference);
  for (size_t m = 0; m < models.size(); ++m)
    answers.models.push_back(pair_answers(models[m]->source().name, pairs, texts, scores.models[m]));
  return {answers};
}

}  // namespace vernier
