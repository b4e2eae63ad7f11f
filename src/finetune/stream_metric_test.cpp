// What a change of a stream means for the answers, beside its definition and beside what answers then do.

#include "finetune/stream_metric.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "finetune/losses.h"
#include "support/training_data.h"

namespace vernier {
namespace {

struct Case {
  const char* name;
  bool sees;
};

class StreamMetrics : public ::testing::TestWithParam<Case> {
 protected:
  static constexpr int64_t kExamples = 48;

  /// All examples `times` times: labels are drawn anew for each.
  ExampleBatch batch(int64_t times) const {
    std::vector<int64_t> examples;
    for (int64_t i = 0; i < times * kExamples; ++i) examples.push_back(i % kExamples);
    return batch_of(data_, examples, at::kCPU);
  }
  std::vector<StreamMetric> metrics(int64_t times) const {
    return stream_metrics(
        model_, {.rows = longest_rows(data_), .seed = 3, .batch = [this, times](int64_t) { return batch(times); }});
  }
  Model sharper() const {  // answers of made-up weights are nearly even: every label would say the same
    Model model =
        GetParam().sees ? load_model(vision_fixture(GetParam().name).string()) : fixture_model(GetParam().name);
    for (const TensorId& id : {model.output_matrix(), TensorId{TensorRole::kDistillationClassifier}})
      if (GetParam().sees && model.has(id)) model.set_weight(id, model.weight(id).to(at::kFloat) * 8);
    return model;
  }

  TrainingData examples() const {
    if (GetParam().sees) return made_up_images(model_, kExamples);
    TrainingData texts = made_up_training(kExamples);
    for (TokenWindow& window : texts.windows) window.tokens.resize(4);  // the definition takes every label of every row
    return texts;
  }

  const Model model_ = sharper();
  const TrainingData data_ = examples();
};

/// E over examples and labels, each as likely as the model says, of g g' of each row, with a tenth of its trace spread.
std::vector<StreamMetric> by_definition(const BatchForward& forward, const ExampleBatch& batch) {
  const c10::AutoGradMode with_gradients(true);
  const Answered answered = forward.answers(batch);
  const at::Tensor log_p = answered.logits.log_softmax(-1), scored = batch.labels >= 0;
  const int64_t last = answered.streams.back().size(1), hidden = forward.width();
  std::vector<StreamMetric> all;
  const auto spread = [&](const at::Tensor& g) {
    return 0.9 * g + 0.1 * at::eye(hidden) * g.trace() / static_cast<double>(hidden);
  };
  for (const at::Tensor& stream : answered.streams) {
    at::Tensor answering = at::zeros({hidden, hidden}), others = answering.clone();
    // Rows answer apart, given the stream: of one after the other, so that none adds to another's gradient.
    for (int64_t row = 0; row < scored.size(1); ++row)
      for (int64_t c = 0; c < log_p.size(-1); ++c) {
        const at::Tensor own = log_p.select(1, row).select(-1, c);
        const at::Tensor g =
            torch::autograd::grad({(own * scored.select(1, row)).sum()}, {stream}, {}, /*retain_graph=*/true)[0];
        const at::Tensor weighted = g * own.exp().detach().reshape({-1, 1, 1});
        const auto sum = [&](int64_t first, int64_t count) {
          return at::einsum("erh,erk->hk", {weighted.narrow(1, first, count), g.narrow(1, first, count)});
        };
        answering += sum(g.size(1) - last, last);
        others += sum(0, g.size(1) - last);
      }
    const int64_t before = stream.size(1) - last;
    const double rows =
        last == scored.size(1) ? scored.sum().item<double>() : static_cast<double>(last * stream.size(0));
    all.push_back({spread(answering / rows),
                   before > 0 ? spread(others / static_cast<double>(before * stream.size(0))) : at::Tensor()});
  }
  return all;
}

TEST_P(StreamMetrics, AreTheFisherInformationAboutRows) {
  const BatchForward forward(model_, longest_rows(data_), at::kCPU, {.once = true, .streams_need_gradients = true});
  const std::vector<StreamMetric> expected = by_definition(forward, batch(1)), got = metrics(150);
  ASSERT_EQ(got.size(), expected.size());
  for (size_t layer = 0; layer < got.size(); ++layer) {
    EXPECT_EQ(got[layer].others.defined(), GetParam().sees && layer + 1 < got.size()) << layer;
    const auto check = [&](const at::Tensor& own, const at::Tensor& wanted, const char* which) {
      // 150 draws of the labels of 48 examples; 60 are up to 0.12 away.
      EXPECT_LT((own - wanted).norm().item<double>(), 0.1 * wanted.norm().item<double>()) << which << " " << layer;
      EXPECT_NEAR(own.trace().item<double>(), wanted.trace().item<double>(), 0.05 * wanted.trace().item<double>());
    };
    check(got[layer].answering, expected[layer].answering, "answering");
    if (got[layer].others.defined()) check(got[layer].others, expected[layer].others, "others");
  }
}

// Noise in the last layer's matrices changes its stream alone, and every row of it answers for itself.
TEST_P(StreamMetrics, ForetellWhatAnswersDo) {
  Model changed = model_;
  const int last = model_.config().depth() - 1;
  const TensorId down{TensorRole::kFfnDown, last};
  at::manual_seed(7);
  changed.set_weight(down, model_.weight(down) + 0.003 * at::randn(model_.weight(down).sizes()));
  const ExampleBatch all = batch(1);
  Answered answered = beside(batch_answers(changed, all), batch_answers(model_, all));
  const std::vector<StreamMetric> known = metrics(20);
  for (const bool once : {true, false}) {
    answered.once = once;
    const double foretold = stream_divergence(known, answered).mean().item<double>() * static_cast<double>(last + 1);
    const double measured = find_loss("distillation").of_examples(answered).mean().item<double>();
    EXPECT_GT(measured, 1e-6);
    // A mean over examples stands for each of them, and a tenth is spread.
    EXPECT_NEAR(foretold, measured, 0.25 * measured);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, StreamMetrics,
                         ::testing::Values(Case{"vit", true}, Case{"deit_distilled", true}, Case{"llama", false}),
                         [](const auto& param) { return std::string(param.param.name); });

TEST(StreamDivergence, CountsRowsAsTheyAnswer) {
  at::manual_seed(5);
  const auto symmetric = [] {
    const at::Tensor x = at::randn({4, 4}, at::kDouble);
    return at::matmul(x, x.t());
  };
  // Two layers of three rows, of which the last answers; the last layer gives that alone.
  const std::vector<StreamMetric> metrics = {{symmetric(), symmetric()}, {symmetric(), {}}};
  Answered a;
  a.labels = at::tensor({2, 0}, at::kLong).reshape({2, 1});
  for (const int64_t rows : {3, 1}) {
    a.streams.push_back(at::randn({2, rows, 4}, at::kDouble).set_requires_grad(true));
    a.teacher_streams.push_back(at::randn({2, rows, 4}, at::kDouble));
  }
  for (int64_t e = 0; e < 2; ++e) {
    double sum = 0;
    for (size_t layer = 0; layer < 2; ++layer)
      for (int64_t r = 0; r < a.streams[layer].size(1); ++r) {
        const at::Tensor own = (a.streams[layer] - a.teacher_streams[layer])[e][r];
        const bool answers = r + 1 == a.streams[layer].size(1);
        sum += own.dot(at::mv(answers ? metrics[layer].answering : metrics[layer].others, own)).item<double>() / 2;
      }
    EXPECT_NEAR(stream_divergence(metrics, a)[e].item<double>(), sum / 2, 1e-10);
  }
  const auto gradients = [&] {
    return torch::autograd::grad({stream_divergence(metrics, a).square().sum()}, {a.streams[0], a.streams[1]});
  };
  const auto plain = gradients();
  a.once = true;
  const auto worked_out = gradients();
  for (size_t layer = 0; layer < 2; ++layer)
    EXPECT_LT((worked_out[layer] - plain[layer]).abs().max().item<double>(), 1e-10);
}

// Of texts every row answers, but for those that are not scored.
TEST(StreamDivergence, LeavesOutWhatIsNotScored) {
  at::manual_seed(6);
  const std::vector<StreamMetric> metrics = {{at::eye(3, at::kDouble), {}}};
  Answered a;
  a.labels = at::tensor({1, 4, -1, 2, -1, -1}, at::kLong).reshape({2, 3});
  a.streams = {at::randn({2, 3, 3}, at::kDouble)};
  a.teacher_streams = {at::randn({2, 3, 3}, at::kDouble)};
  const at::Tensor squares = (a.streams[0] - a.teacher_streams[0]).square().sum(-1),
                   got = stream_divergence(metrics, a);
  EXPECT_NEAR(got[0].item<double>(), (squares[0][0] + squares[0][1]).item<double>() / 4, 1e-12);
  EXPECT_NEAR(got[1].item<double>(), squares[1][0].item<double>() / 2, 1e-12);
}

}  // namespace
}  // namespace vernier
