#include "vernier/evaluate.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <limits>

#include "evaluate/score_windows.h"
#include "support/cancelling_sink.h"
#include "support/expect_error.h"
#include "support/models.h"
#include "vernier/error.h"
#include "vernier/evaluation_file.h"
#include "vernier/metric.h"

namespace vernier {
namespace {

Model noisy(const Model& model, double scale) {
  at::manual_seed(7);
  Model copy(model.config(), model.source());
  for (const TensorId& id : model.tensors()) {
    const at::Tensor w = model.weight(id).to(at::kFloat);
    copy.set_weight(id, is_matrix(id.role) ? w + scale * w.std() * at::randn_like(w) : w);
  }
  return copy;
}

// By the definition: logits at positions first_row ... predict the token after them, nothing else counts.
TEST(Evaluate, ScoresTheSecondHalfLikeLlamaPerplexity) {
  const Model model = fixture_model("llama"), other = noisy(model, 0.05);
  const EvaluationData data = made_up_windows(3, 32, 320);
  double nll = 0, kl = 0, reference_nll = 0, same_top = 0;
  int64_t tokens = 0;
  for (const TokenWindow& window : data.windows) {
    ASSERT_EQ(window.scored(), 15);  // of 32: positions 16 .. 30 predict 17 .. 31
    const at::Tensor p = exact_log_p(model, window), q = exact_log_p(other, window);
    for (int64_t r = 0; r < window.scored(); ++r, ++tokens) {
      const int64_t label = window.tokens[static_cast<size_t>(window.first_row + r + 1)];
      nll -= q[r][label].item<double>();
      reference_nll -= p[r][label].item<double>();
      kl += (p[r].exp() * (p[r] - q[r])).sum().item<double>();
      same_top += p[r].argmax().item<int64_t>() == q[r].argmax().item<int64_t>() ? 1 : 0;
    }
  }
  ASSERT_EQ(tokens, 3 * 15);
  const Evaluation e = evaluate({&other}, &model, data)[0];
  const auto n = static_cast<double>(tokens);
  EXPECT_EQ(e.all.tokens, tokens);
  EXPECT_NEAR(e.all.nll().mean, nll / n, 2e-6 * nll / n);
  EXPECT_NEAR(e.all.at("reference_nll_nats").mean, reference_nll / n, 2e-6 * nll / n);
  EXPECT_NEAR(e.all.kl().mean, kl / n, 1e-4 * kl / n);
  EXPECT_NEAR(e.all.same_top().mean, same_top / n, 1e-9);
  EXPECT_NEAR(evaluate({&other}, nullptr, data)[0].all.nll().mean, nll / n, 2e-6 * nll / n);
}

TEST(Evaluate, AModelAgainstItselfIsExactlyZero) {
  const Model model = fixture_model("qwen3");
  const Evaluation e = evaluate({&model}, &model, made_up_windows(2, 40, 320))[0];
  EXPECT_EQ(e.all.kl().mean, 0);
  EXPECT_EQ(e.all.at("delta_nll_nats").mean, 0);
  EXPECT_EQ(e.all.same_top().mean, 1);
  EXPECT_EQ(e.tails->kl_max, 0);
}

/// Evaluating `broken` must be refused as a bad file, in words that hold `part`.
void expect_refused(const Model& broken, const Model* reference, const EvaluateOptions& options,
                    const std::string& part) {
  expect_error(ErrorKind::kBadFile, {part},
               [&] { evaluate({&broken}, reference, made_up_windows(2, 16, 320), options); });
}

TEST(Evaluate, AModelWithBrokenWeightsIsNamedNotMeasured) {
  const Model model = to_float32(fixture_model("llama"));
  EvaluateOptions engine;
  engine.activations = Activations::kLlamaCpp;
  using Role = TensorRole;
  for (const TensorId& id : {TensorId{Role::kTokenEmbedding, -1},
                             {Role::kAttnQ, 1},
                             {Role::kAttnV, 0},
                             {Role::kFfnNorm, 1},
                             {Role::kFfnDown, 0},
                             {Role::kOutputNorm, -1},
                             {Role::kOutput, -1}})
    for (const float value : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
      Model broken = model;
      at::Tensor weight = model.weight(id).clone();
      weight.flatten()[weight.size(-1) + (weight.dim() > 1 ? 2 : -1)] = value;
      broken.set_weight(id, weight);
      ASSERT_FALSE(broken.matrices().empty());
      for (const TensorId& matrix : broken.matrices()) broken.set_stored_scheme(matrix, Scheme::parse("gguf:q4_k"));
      const std::string place =
          weight.dim() > 1 ? "row 1, column 2 is" : fmt::format("column {} is", weight.size(0) - 1);
      expect_refused(broken, &model, {}, name_of(id) + ": ");
      expect_refused(broken, nullptr, {}, place);
      expect_refused(broken, &model, engine, name_of(id));
    }
}

TEST(Evaluate, ModelsStoredInAnyFloatingTypeAreChecked) {
  for (const at::ScalarType type : {at::kHalf, at::kBFloat16, at::kFloat, at::kDouble}) {
    Model model = fixture_model("llama");
    for (const TensorId& id : model.tensors()) model.set_weight(id, model.weight(id).to(type));
    EXPECT_GT(evaluate({&model}, nullptr, made_up_windows(2, 16, 320))[0].all.nll().mean, 0) << type;
    at::Tensor norm = model.weight({TensorRole::kOutputNorm, -1}).clone();
    norm[3] = std::numeric_limits<float>::quiet_NaN();
    model.set_weight({TensorRole::kOutputNorm, -1}, norm);
    expect_refused(model, nullptr, {}, "column 3 is nan");
  }
}

// Every weight is a number, their products are not.
TEST(Evaluate, OverflowIsRefusedNotMeasured) {
  const Model model = to_float32(fixture_model("llama"));
  for (const TensorRole role : {TensorRole::kOutput, TensorRole::kFfnDown}) {
    Model broken = model;
    const TensorId id{role, role == TensorRole::kOutput ? -1 : 1};
    broken.set_weight(id, at::sign(model.weight(id)) * 3e38f);
    for (const Model* reference : {&model, static_cast<const Model*>(nullptr)})
      expect_refused(broken, reference, {}, "overflow");
  }
}

// The same weights, stored as q8_0 or as nothing in particular: only what an engine would round is rounded.
TEST(Evaluate, EngineActivationsAreRoundedByTheStoredScheme) {
  const Model model = to_float32(fixture_model("qwen2"));
  const EvaluationData data = made_up_windows(2, 40, 320);
  EvaluateOptions engine;
  engine.activations = Activations::kLlamaCpp;
  expect_error(ErrorKind::kInvalidArgument, {"expected a GGUF file, whose schemes say how"},
               [&] { evaluate({&model}, nullptr, data, engine); });
  Model stored = model;
  for (const TensorId& id : stored.matrices()) stored.set_stored_scheme(id, Scheme::parse("f32"));
  EXPECT_EQ(evaluate({&stored}, &model, data, engine)[0].all.kl().mean, 0);
  EXPECT_EQ(evaluate({&stored}, &model, data, engine)[0].activations, Activations::kLlamaCpp);
  const Model exact = stored;
  for (const TensorId& id : stored.matrices()) stored.set_stored_scheme(id, Scheme::parse("gguf:q8_0"));
  EXPECT_EQ(evaluate({&stored}, &model, data)[0].all.kl().mean, 0);
  EXPECT_EQ(evaluate({&exact}, &stored, data, engine)[0].all.kl().mean, 0);  // the reference stays exact
  EvaluateOptions twice = engine;
  twice.compute.type = ComputeType::kBFloat16;
  expect_error(ErrorKind::kInvalidArgument, {"float32, got bfloat16"},
               [&] { evaluate({&stored}, &model, data, twice); });
  const double all = evaluate({&stored}, &model, data, engine)[0].all.kl().mean;
  // 8 bits keep a random input to about 0.5%: of logits near 1 that is a KL near 1e-5, and never 1e-2.
  EXPECT_GT(all, 1e-9);
  EXPECT_LT(all, 1e-2);
  // Stacked matrices of different schemes are fed differently.
  for (const TensorId& id : stored.matrices())
    if (id.role != TensorRole::kAttnQ) stored.set_stored_scheme(id, Scheme::parse("f32"));
  const double queries = evaluate({&stored}, &model, data, engine)[0].all.kl().mean;
  EXPECT_GT(queries, 0);
  EXPECT_LT(queries, all);
}

TEST(Evaluate, OneThreadAndTwoGiveTheSameBits) {
  const Model model = fixture_model("mistral_sliding"), other = noisy(model, 0.1);
  const EvaluationData data = made_up_windows(5, 48, 320);
  const auto run = [&](int threads) {
    const Evaluation e = evaluate({&other}, &model, data, {{ComputeType::kFloat32, threads}})[0];
    EvaluationFile file = evaluation_file(e);
    file.rows.push_back(evaluation_row({}, e));
    return evaluation_file_to_json(file).dump();
  };
  EXPECT_EQ(run(1), run(2));
}

TEST(Evaluate, GroupsCountDocumentsBytesAndTokens) {
  const Model model = fixture_model("qwen2"), other = noisy(model, 0.1);
  EvaluationData data = made_up_windows(4, 24, 320);
  for (TokenWindow& w : data.windows) w.first_row = 0;
  data.windows[1].cluster = 0;  // a document of two windows
  data.clusters = {{"de", 100}, {}, {"fi", 50}, {"de", 10}};
  const Evaluation e = evaluate({&other}, &model, data)[0];
  ASSERT_EQ(e.groups.size(), 2u);
  EXPECT_EQ(e.groups.at("de").documents, 2);
  EXPECT_EQ(e.groups.at("de").tokens, 3 * 23);
  EXPECT_EQ(e.groups.at("de").bytes, 110);
  EXPECT_EQ(e.groups.at("fi").tokens, 23);
  const Scores& fi = e.groups.at("fi");
  EXPECT_NEAR(fi.at("nll_bits_per_byte").mean, fi.nll().mean * 23 / 50 / std::log(2.0), 1e-9);
  EXPECT_TRUE(std::isnan(fi.at("nll_bits_per_byte").standard_error)) << "one document tells nothing";
  const Scores& de = e.groups.at("de");
  EXPECT_NEAR(de.at("delta_nll_bits_per_byte").mean,
              de.at("nll_bits_per_byte").mean - de.at("reference_nll_bits_per_byte").mean, 1e-9);
  // Two documents: their residuals are equal and opposite, so the error is twice one of them over the total.
  EvaluationData last = data;
  last.windows = {data.windows[3]};
  const double last_nats = evaluate({&other}, nullptr, last)[0].all.nll().mean * 23;
  const double residual = last_nats / std::log(2.0) - de.at("nll_bits_per_byte").mean * 10;
  EXPECT_NEAR(de.at("nll_bits_per_byte").standard_error, 2 * std::abs(residual) / 110, 1e-6);
  EXPECT_NEAR(fi.at("nll_nats_per_document").mean, fi.nll().mean * 23, 1e-9);
  EXPECT_NEAR(e.all.at("delta_nll_nats_per_document").mean * 3, e.all.at("delta_nll_nats").mean * 4 * 23, 1e-6);
}

/// `copies` of the window `first`, then window `second` if it is one, each a document of its own.
EvaluationData documents_of(const EvaluationData& source, int copies, size_t first, std::optional<size_t> second) {
  EvaluationData data = source;
  data.windows.clear();
  data.clusters.clear();
  for (int i = 0; i < copies; ++i) {
    data.windows.push_back(source.windows[first]);
    data.clusters.push_back({"en", 60, i == 0 ? -1 : 0});
  }
  if (second) {
    data.windows.push_back(source.windows[*second]);
    data.clusters.push_back({"en", 80});
  }
  for (size_t w = 0; w < data.windows.size(); ++w) data.windows[w].cluster = static_cast<int64_t>(w);
  return data;
}

// Copies are no evidence: the mean is over all tokens, its error over what differs.
TEST(Evaluate, CopiesOfADocumentTellNothing) {
  const Model model = fixture_model("llama"), other = noisy(model, 0.1);
  const EvaluationData source = made_up_windows(2, 24, 320);
  const Evaluation one = evaluate({&other}, &model, documents_of(source, 1, 0, {}))[0];
  const Evaluation ten = evaluate({&other}, &model, documents_of(source, 10, 0, {}))[0];
  for (const Scores* s : {&ten.all, &ten.groups.at("en")}) {
    EXPECT_EQ(s->documents, 10);
    EXPECT_EQ(s->distinct_documents, 1);
    EXPECT_EQ(s->tokens, 10 * one.all.tokens);
    EXPECT_EQ(s->bytes, 600);
    EXPECT_NEAR(s->nll().mean, one.all.nll().mean, 1e-12);
    EXPECT_NEAR(s->at("nll_nats_per_document").mean, one.all.at("nll_nats_per_document").mean, 1e-9);
    EXPECT_EQ(s->metrics.size(), metrics().size()) << "documents beside a reference: everything";
    for (const auto& [key, value] : s->metrics) EXPECT_TRUE(std::isnan(value.standard_error)) << key;
  }
}

TEST(Evaluate, CopiesBesideAnotherDocumentAreTwo) {
  const Model model = fixture_model("llama"), other = noisy(model, 0.1);
  const EvaluationData source = made_up_windows(2, 24, 320);
  const auto nll_of = [&](size_t w) {
    return evaluate({&other}, nullptr, documents_of(source, 1, w, {}))[0].all.at("nll_nats_per_document").mean;
  };
  const double a = nll_of(0), b = nll_of(1);
  const Scores s = evaluate({&other}, nullptr, documents_of(source, 10, 0, 1))[0].all;
  EXPECT_EQ(s.documents, 11);
  EXPECT_EQ(s.distinct_documents, 2);
  // Two clusters of ten and one: residuals are equal and opposite, the error is twice one of them over the total.
  const auto tokens = static_cast<double>(source.windows[0].scored());
  EXPECT_NEAR(s.nll().mean, (10 * a + b) / (11 * tokens), 1e-6);
  EXPECT_NEAR(s.nll().standard_error, 2 * std::abs(b - s.nll().mean * tokens) / (11 * tokens), 1e-6);
  EXPECT_NEAR(s.at("nll_nats_per_document").mean, (10 * a + b) / 11, 1e-6);
  EXPECT_NEAR(s.at("nll_nats_per_document").standard_error, 2 * std::abs(b - s.at("nll_nats_per_document").mean) / 11,
              1e-6);
  const double bits = (10 * a + b) / 680 / std::log(2.0);
  EXPECT_NEAR(s.at("nll_bits_per_byte").mean, bits, 1e-6);
  EXPECT_NEAR(s.at("nll_bits_per_byte").standard_error, 2 * std::abs(b / std::log(2.0) - bits * 80) / 680, 1e-6);
}

TEST(Evaluate, CopiesOfAWindowTellNothing) {
  const Model model = fixture_model("llama");
  EvaluationData data = made_up_windows(3, 24, 320);
  for (size_t w : {1, 2}) {
    data.windows[w].tokens = data.windows[0].tokens;
    data.clusters[w].same_as = 0;
  }
  const Scores s = evaluate({&model}, nullptr, data)[0].all;
  EXPECT_TRUE(std::isnan(s.nll().standard_error));
  EXPECT_EQ(s.documents, 0);
  EXPECT_EQ(s.distinct_documents, 0);
}

TEST(Evaluate, TokensOutsideTheVocabularyAreNamed) {
  const Model model = fixture_model("llama");
  EvaluationData data = made_up_windows(2, 32, 320);
  data.windows[1].tokens[3] = 320;
  expect_error(ErrorKind::kInvalidArgument, {"320"}, [&] { evaluate({&model}, nullptr, data); });
}

TEST(Evaluate, ASinkThatThrowsCancels) {
  const Model model = fixture_model("llama");
  for (const int threads : {1, 2}) {
    CancellingSink sink(2);
    EXPECT_THROW(evaluate({&model}, &model, made_up_windows(9, 16, 320), {{ComputeType::kFloat32, threads}}, &sink),
                 Cancelled);
    EXPECT_EQ(sink.updates, 3);
    EXPECT_FALSE(sink.ended);
  }
}

TEST(Evaluate, BFloat16StaysNearFloat32) {
  const Model model = fixture_model("llama");
  const EvaluationData data = made_up_windows(3, 64, 320);
  const Evaluation e = evaluate({&model}, &model, data, {{ComputeType::kBFloat16, 1}})[0];
  EXPECT_GT(e.all.kl().mean, 0);
  EXPECT_LT(e.all.kl().mean, 0.01);  // random weights amplify rounding more than trained ones do
}

// Of a small model most of the work may come after its layers: what is left of the time is foretold by progress.
TEST(Evaluate, ProgressCountsWhatALargeVocabularyTakes) {
  ModelConfig config = fixture_model("llama").config();
  const LayerConfig& layer = config.layers[0];
  const int64_t a_layer = config.hidden * (2 * layer.attention.query_columns() + 2 * layer.attention.kv_columns() +
                                           3 * layer.feed_forward.intermediate);
  config.vocabulary = 10 * a_layer / config.hidden;
  EXPECT_EQ(layers_worth_of_scoring(config, 1.0), 10);
  EXPECT_EQ(layers_worth_of_scoring(config, 0.5), 5);
  config.vocabulary = 8;
  EXPECT_EQ(layers_worth_of_scoring(config, 0.5), 1);
}

}  // namespace
}  // namespace vernier
