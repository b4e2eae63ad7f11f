#include "evaluate/text_figures.h"

#include <algorithm>
#include <limits>
#include <memory>

#include "evaluate/score_windows.h"
#include "ops/kernels.h"

namespace vernier {

namespace {

/// The greatest logit that is not the label's. `top`: index of the greatest one.
float greatest_other(const float* logits, int64_t vocabulary, int64_t label, int64_t top) {
  if (top != label) return logits[top];
  float greatest = std::numeric_limits<float>::lowest();
  if (label > 0) greatest = logits[argmax(logits, label)];
  if (label + 1 < vocabulary)
    greatest = std::max(greatest, logits[label + 1 + argmax(logits + label + 1, vocabulary - label - 1)]);
  return greatest;
}

}  // namespace

TextFigures& TextFigures::operator+=(const TextFigures& other) {
  tokens += other.tokens;
  nll_nats += other.nll_nats;
  right += other.right;
  logit_variance += other.logit_variance;
  margin += other.margin;
  entropy_nats += other.entropy_nats;
  confidence += other.confidence;
  kl_nats += other.kl_nats;
  return *this;
}

TextFigures figures_of_logits(const float* logits, int64_t vocabulary, int32_t label, float* scratch) {
  const float log_total = log_sum_exp(logits, vocabulary);
  exp_shifted(logits, log_total, scratch, vocabulary);
  const int64_t top = argmax(logits, vocabulary);
  TextFigures figures;
  figures.tokens = 1;
  figures.nll_nats = log_total - logits[label];
  figures.right = top == label ? 1 : 0;
  figures.logit_variance = variance(logits, vocabulary);
  figures.margin = static_cast<double>(logits[label]) - greatest_other(logits, vocabulary, label, top);
  figures.entropy_nats = entropy(logits, scratch, log_total, vocabulary);
  figures.confidence = scratch[top];
  return figures;
}

TextScores score_texts(const Model& reference, const std::vector<const Model*>& models, const EvaluationData& data,
                       const EvaluateOptions& options, ProgressSink* progress) {
  TextScores scores;
  scores.reference.resize(data.windows.size());
  scores.models.assign(models.size(), scores.reference);
  // Without a model to compare with, the reference is all that is run.
  const bool alone = models.empty();
  const std::vector<const Model*> run = alone ? std::vector<const Model*>{&reference} : models;
  score_windows(run, alone ? nullptr : &reference, data, options, "groups", progress, [&](size_t w) -> TokenVisitor {
    const auto scratch = std::make_shared<std::vector<float>>();
    return [&, w, scratch](const ScoredToken& token) {
      scratch->resize(static_cast<size_t>(token.vocabulary));
      const auto of = [&](const float* logits) {
        return figures_of_logits(logits, token.vocabulary, token.label, scratch->data());
      };
      if (token.model == 0) scores.reference[w] += of(alone ? token.logits : token.reference_logits);
      if (alone) return;
      TextFigures figures = of(token.logits);
      figures.nll_nats = token.damage.nll;  // free of cancellation against the reference's
      figures.kl_nats = token.damage.kl;
      scores.models[token.model][w] += figures;
    };
  });
  return scores;
}

std::vector<std::vector<double>> rescaled_losses(const std::vector<const Model*>& models,
                                                 const std::vector<double>& factors, const EvaluationData& data,
                                                 const EvaluateOptions& options, ProgressSink* progress) {
  std::vector<std::vector<double>> losses(models.size(), std::vector<double>(data.windows.size()));
  score_windows(models, nullptr, data, options, "rescale", progress, [&](size_t w) -> TokenVisitor {
    const auto scaled = std::make_shared<std::vector<float>>();
    return [&, w, scaled](const ScoredToken& token) {
      scaled->assign(token.logits, token.logits + token.vocabulary);
      scale_row(scaled->data(), token.vocabulary, static_cast<float>(factors[token.model]));
      losses[token.model][w] += negative_log_likelihood(scaled->data(), token.vocabulary, token.label);
    };
  });
  return losses;
}

}  // namespace vernier
