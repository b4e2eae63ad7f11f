#include "vernier/grouped_answers.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "support/expect_error.h"
#include "support/models.h"

namespace vernier {
namespace {

using ::testing::ElementsAre;

Model shaken(const Model& model, double scale) {
  at::manual_seed(11);
  Model copy(model.config(), model.source());
  for (const TensorId& id : model.tensors()) {
    const at::Tensor w = model.weight(id).to(at::kFloat);
    copy.set_weight(id, is_matrix(id.role) ? w + scale * w.std() * at::randn_like(w) : w);
  }
  return copy;
}

/// Six windows; the first two are one document, which windows 2 and 3 are versions of in another group.
EvaluationData sample_documents() {
  EvaluationData data = made_up_windows(6, 24, 320);
  const std::vector<int64_t> cluster{0, 0, 1, 2, 3, 4};
  for (size_t w = 0; w < 6; ++w) {
    data.windows[w].cluster = cluster[w];
    data.windows[w].first_row = static_cast<int64_t>(3 * w);
  }
  const auto cluster_of = [](const char* group, int64_t bytes, int64_t version_of) {
    return Cluster{.group = group, .bytes = bytes, .version_of = version_of};
  };
  data.clusters = {cluster_of("a", 90, 0), cluster_of("b", 50, 0), cluster_of("c", 60, 0), cluster_of("a", 40, 3),
                   cluster_of("b", 30, -1)};
  return data;
}

/// What one model says of the scored tokens of a document, by definition, from logits in float64. @shape sums
struct ExactFigures {
  double tokens = 0, nll = 0, right = 0, variance = 0, margin = 0, entropy = 0, confidence = 0, kl = 0;
};

ExactFigures exact_figures(const Model& model, const Model& reference, const EvaluationData& data, int64_t cluster,
                           double factor = 1) {
  ExactFigures sums;
  for (const TokenWindow& window : data.windows) {
    if (window.cluster != cluster) continue;
    const at::Tensor shifted = factor * exact_log_p(model, window), before = exact_log_p(reference, window);
    const at::Tensor q = shifted.log_softmax(-1);
    for (int64_t r = 0; r < window.scored(); ++r) {
      const int64_t label = window.tokens[static_cast<size_t>(window.first_row + r + 1)];
      at::Tensor others = q[r].clone();
      others[label] = -1e9;
      sums.tokens += 1;
      sums.nll -= q[r][label].item<double>();
      sums.right += q[r].argmax().item<int64_t>() == label ? 1 : 0;
      sums.variance += shifted[r].var(false).item<double>();  // a shift of all logits does not matter
      sums.margin += (q[r][label] - others.max()).item<double>();
      sums.entropy -= (q[r].exp() * q[r]).sum().item<double>();
      sums.confidence += q[r].max().exp().item<double>();
      sums.kl += (before[r].exp() * (before[r] - q[r])).sum().item<double>();
    }
  }
  return sums;
}

TEST(AnswerDocuments, FiguresAreThoseOfTheDefinition) {
  const Model model = fixture_model("llama"), other = shaken(model, 0.2);
  const EvaluationData data = sample_documents();
  const std::vector<GroupedAnswers> answers = answer_documents(model, {&other}, data);
  const GroupedAnswers& tokens = answers[0];
  EXPECT_EQ(tokens.unit, "token");
  ASSERT_EQ(tokens.examples.count, 5);
  for (size_t d = 0; d < 5; ++d)
    for (const bool before : {true, false}) {
      const ExactFigures exact = exact_figures(before ? model : other, model, data, static_cast<int64_t>(d));
      const Answers& got = before ? tokens.reference : tokens.models[0];
      const double n = exact.tokens;
      EXPECT_EQ(tokens.examples.weights[d], n);
      EXPECT_NEAR(got.loss_nats[d], exact.nll / n, 1e-5 * exact.nll / n);
      EXPECT_NEAR(got.correct[d], exact.right / n, 1e-12);
      EXPECT_NEAR(got.logit_variance[d], exact.variance / n, 1e-4 * exact.variance / n);
      EXPECT_NEAR(got.margin[d], exact.margin / n, 1e-4);
      EXPECT_NEAR(got.entropy_nats[d], exact.entropy / n, 1e-5 * exact.entropy / n);
      EXPECT_NEAR(got.confidence[d], exact.confidence / n, 1e-4 * exact.confidence / n);
      // Of a model and itself rounding alone is left, of either sign.
      EXPECT_NEAR(got.kl_nats[d], before ? 0 : exact.kl / n, 1e-4 * std::abs(exact.kl) / n + 1e-15);
    }
}

TEST(AnswerDocuments, UnitsShareLossesAndDifferInWhatTheyArePer) {
  const Model model = fixture_model("llama"), other = shaken(model, 0.2);
  const EvaluationData data = sample_documents();
  const std::vector<GroupedAnswers> answers = answer_documents(model, {&other}, data);
  ASSERT_EQ(answers.size(), 3u);
  const GroupedAnswers &token = answers[0], &byte = answers[1], &document = answers[2];
  EXPECT_EQ(byte.unit, "byte");
  EXPECT_EQ(document.unit, "document");
  EXPECT_THAT(token.examples.attributes[0].values, ElementsAre("a", "b", "c", "a", "b"));
  EXPECT_THAT(token.examples.clusters, ElementsAre(0, 0, 0, 3, 4)) << "versions are drawn together";
  EXPECT_THAT(document.examples.attributes[0].values, ElementsAre("a", "b", "c")) << "only those with versions";
  EXPECT_TRUE(document.examples.weights.size() == 3 && document.examples.weights[0] == 1);
  for (size_t d = 0; d < 5; ++d) {
    const double total = token.models[0].loss_nats[d] * token.examples.weights[d];
    EXPECT_NEAR(byte.models[0].loss_nats[d] * static_cast<double>(data.clusters[d].bytes), total, 1e-9 * total);
  }
  for (size_t d = 0; d < 3; ++d) {
    const double total = token.models[0].loss_nats[d] * token.examples.weights[d];
    EXPECT_NEAR(document.models[0].loss_nats[d], total, 1e-9 * total);
  }
  EXPECT_NEAR(byte.tokens_per_unit, static_cast<double>(data.scored_tokens()) / 270, 1e-12);
}

TEST(AnswerDocuments, RescaledLogitsHaveTheReferencesVariance) {
  const Model model = fixture_model("llama"), other = shaken(model, 0.4);
  const EvaluationData data = sample_documents();
  const GroupedAnswers tokens = answer_documents(model, {&other}, data)[0];
  double before = 0, after = 0;
  for (int64_t d = 0; d < 5; ++d) {
    before += exact_figures(model, model, data, d).variance;
    after += exact_figures(other, model, data, d).variance;
  }
  const double factor = std::sqrt(before / after);
  ASSERT_GT(std::abs(factor - 1), 0.01) << "the test would show nothing";
  for (int64_t d = 0; d < 5; ++d) {
    const ExactFigures exact = exact_figures(other, model, data, d, factor);
    EXPECT_NEAR(tokens.rescaled[0].loss_nats[static_cast<size_t>(d)], exact.nll / exact.tokens,
                1e-5 * exact.nll / exact.tokens);
  }
}

TEST(AnswerDocuments, RunningTextHasNoBytesAndAReferenceMayStandAlone) {
  const Model model = fixture_model("llama");
  EvaluationData data = made_up_windows(3, 24, 320);
  for (Cluster& cluster : data.clusters) cluster.group = "wiki";
  const std::vector<GroupedAnswers> answers = answer_documents(model, {}, data);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_TRUE(answers[0].models.empty() && answers[0].rescaled.empty());
  EXPECT_NEAR(answers[0].reference.loss_nats[1], exact_figures(model, model, data, 1).nll / 11, 1e-4);
}

/// Windows of three questions with 2, 3 and 2 answers, or of pairs.
ScoredTexts made_up_texts(const std::vector<int64_t>& items) {
  ScoredTexts texts{made_up_windows(static_cast<int64_t>(items.size()), 20, 320), {}};
  int64_t choice = 0;
  for (size_t w = 0; w < items.size(); ++w) {
    choice = w > 0 && items[w] == items[w - 1] ? choice + 1 : 0;
    texts.text.push_back({items[w], choice, 5 + static_cast<int64_t>(w)});
    texts.data.windows[w].cluster = items[w];
  }
  return texts;
}

double exact_log_likelihood(const Model& model, const TokenWindow& window) {
  EvaluationData one;
  one.windows = {window};
  return -exact_figures(model, model, one, window.cluster).nll;
}

TEST(AnswerChoices, AQuestionsLogitsAreTheLogLikelihoodsOfItsAnswers) {
  const Model model = fixture_model("llama"), other = shaken(model, 0.2);
  const std::vector<ChoiceItem> items{
      {"q", {"a", "b"}, 1, "x", 1}, {"q", {"a", "b", "c"}, 2, "y", 2}, {"q", {"a", "b"}, 0, "", 3}};
  const ScoredTexts texts = made_up_texts({0, 0, 1, 1, 1, 2, 2});
  const std::vector<GroupedAnswers> answers = answer_choices(model, {&other}, items, texts);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_THAT(answers[0].examples.attributes[0].values, ElementsAre("x", "y", ""));
  std::vector<double> sums;
  for (const TokenWindow& window : texts.data.windows) sums.push_back(exact_log_likelihood(other, window));
  const std::vector<ChoiceAnswer> exact = choice_answers(items, texts, sums);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(answers[0].models[0].loss_nats[i], exact[i].loss_nats, 1e-3);
    EXPECT_EQ(answers[0].models[0].correct[i], exact[i].correct ? 1 : 0);
    EXPECT_EQ(answers[0].models[0].normalized_correct[i], exact[i].normalized_correct ? 1 : 0);
    EXPECT_EQ(answers[0].models[0].predicted[i], exact[i].likeliest);
    EXPECT_EQ(answers[0].rescaled[0].correct[i], answers[0].models[0].correct[i]) << "rescaling changes no answer";
  }
  const double mean = (sums[0] + sums[1]) / 2;
  EXPECT_NEAR(answers[0].models[0].logit_variance[0], (sums[0] - mean) * (sums[0] - mean),
              1e-3 * answers[0].models[0].logit_variance[0]);
  const GroupStudy study = study_groups(answers, {"int4"}, {.bootstrap_draws = 20, .null_draws = 20});
  EXPECT_TRUE(study.entries[0].analysis.all.figures.contains("normalized_accuracy"));
}

TEST(AnswerPairs, TheLikelierSentenceIsPreferred) {
  const Model model = fixture_model("llama"), other = shaken(model, 0.2);
  const std::vector<SentencePair> pairs{{"m", "l", true, "age", 1}, {"m", "l", false, "sex", 2}};
  const ScoredTexts texts = made_up_texts({0, 0, 1, 1});
  const GroupedAnswers answers = answer_pairs(model, {&other}, pairs, texts)[0];
  EXPECT_THAT(answers.examples.attributes[0].values, ElementsAre("age", "sex"));
  EXPECT_THAT(answers.examples.attributes[1].values, ElementsAre("stereotype", "against the stereotype"));
  for (size_t i = 0; i < 2; ++i) {
    const double more = exact_log_likelihood(other, texts.data.windows[2 * i]);
    const double less = exact_log_likelihood(other, texts.data.windows[2 * i + 1]);
    EXPECT_EQ(answers.models[0].stereotyped[i], more > less ? 1 : 0);
    EXPECT_NEAR(answers.models[0].loss_nats[i], -(more + less) / 18, 1e-4);
  }
  const GroupStudy study = study_groups({answers}, {"int4"}, {.bootstrap_draws = 20, .null_draws = 20});
  EXPECT_TRUE(study.entries[0].analysis.all.figures.contains("stereotype_share"));
}

TEST(AnswerDocuments, OtherVocabulariesAreRefused) {
  const Model model = fixture_model("llama");
  for (const std::string& name : fixture_names()) {
    const Model other = fixture_model(name);
    if (other.config().vocabulary == model.config().vocabulary) continue;
    expect_error(ErrorKind::kInvalidArgument, {"groups: ", "vocabulary"},
                 [&] { answer_documents(model, {&other}, sample_documents()); });
    return;
  }
}

}  // namespace
}  // namespace vernier
