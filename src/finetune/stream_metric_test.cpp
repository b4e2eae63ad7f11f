// What a change of a stream means for the answers, beside its definition and beside what answers then do.

#include "finetune/stream_metric.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "finetune/losses.h"
#include "ops/mixed_arithmetic.h"
#include "support/expect_error.h"
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
  std::vector<StreamMetric> metrics(int64_t times, bool mixed = false) const {
    return stream_metrics(model_,
                          {.rows = longest_rows(data_), .mixed = mixed, .seed = 3, .batch = [this, times](int64_t) {
                             return batch(times);
                           }});
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
    for (int64_t i = 0; i < kExamples; ++i) {  // the definition takes every label of every row: few rows
      TokenWindow& window = texts.windows[static_cast<size_t>(i)];
      window.tokens.resize(i % 3 == 0 ? 3 : 5);
      window.first_row = i % 4 == 1 ? 1 : 0;
      texts.piece_starts.push_back(i % 3 == 1 ? std::vector<int32_t>{2} : std::vector<int32_t>{});
    }
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
  const bool all_answer = last == scored.size(1);
  std::vector<StreamMetric> all;
  const auto spread = [&](const at::Tensor& g) {
    return 0.9 * g + 0.1 * at::eye(hidden) * g.trace() / static_cast<double>(hidden);
  };
  for (const at::Tensor& stream : answered.streams) {
    std::vector<at::Tensor> answering(static_cast<size_t>(last), at::Tensor());
    for (at::Tensor& one : answering) one = at::zeros({hidden, hidden});
    at::Tensor others = at::zeros({hidden, hidden});
    // Rows answer apart, given the stream: of one after the other, so that none adds to another's gradient.
    for (int64_t row = 0; row < scored.size(1); ++row)
      for (int64_t c = 0; c < log_p.size(-1); ++c) {
        const at::Tensor own = log_p.select(1, row).select(-1, c);
        const at::Tensor g =
            torch::autograd::grad({(own * scored.select(1, row)).sum()}, {stream}, {}, /*retain_graph=*/true)[0];
        const at::Tensor weighted = g * own.exp().detach().reshape({-1, 1, 1});
        const int64_t before = g.size(1) - last;
        for (int64_t r = 0; r < g.size(1); ++r) {
          const at::Tensor counts = all_answer && r >= before
                                        ? scored.select(1, r - before).to(at::kFloat).unsqueeze(-1)
                                        : at::ones({g.size(0), 1});
          at::Tensor& sum = r < before ? others : answering[all_answer ? 0 : static_cast<size_t>(r - before)];
          sum += at::matmul((weighted.select(1, r) * counts).t(), g.select(1, r));
        }
      }
    const int64_t before = stream.size(1) - last;
    const auto examples = static_cast<double>(stream.size(0));
    StreamMetric own{spread(answering[0] / scored.sum().item<double>()), {}};
    if (!all_answer) {
      std::vector<at::Tensor> rows;
      for (const at::Tensor& row : answering) rows.push_back(spread(row / examples));
      own.answering = at::stack(rows);
    }
    if (before > 0) own.others = spread(others / (static_cast<double>(before) * examples));
    all.push_back(own);
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
      ASSERT_EQ(own.sizes(), wanted.sizes()) << which << " " << layer;
      // 150 draws of the labels of 48 examples; 60 are up to 0.12 away.
      EXPECT_LT((own - wanted).norm().item<double>(), 0.1 * wanted.norm().item<double>()) << which << " " << layer;
      const auto trace = [](const at::Tensor& g) { return g.diagonal(0, -2, -1).sum().item<double>(); };
      EXPECT_NEAR(trace(own), trace(wanted), 0.05 * trace(wanted)) << which << " " << layer;
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

TEST_P(StreamMetrics, AreCloseInMixedArithmetic) {
  if (!multiplies_bfloat16(at::kCPU)) GTEST_SKIP() << "this processor has no AVX512_BF16";
  const std::vector<StreamMetric> wide = metrics(20), narrow = metrics(20, /*mixed=*/true);
  for (size_t layer = 0; layer < wide.size(); ++layer) {
    const double gone = (narrow[layer].answering.to(at::kFloat) - wide[layer].answering).norm().item<double>();
    EXPECT_GT(gone, 0);
    // 8 bits of a number, and some labels that fall otherwise; other labels altogether are 0.2 away.
    EXPECT_LT(gone, 0.12 * wide[layer].answering.norm().item<double>());
  }
}

// Plain DeiT has a second row of its own at the end that nobody reads.
INSTANTIATE_TEST_SUITE_P(Models, StreamMetrics,
                         ::testing::Values(Case{"vit", true}, Case{"deit", true}, Case{"deit_distilled", true},
                                           Case{"llama", false}),
                         [](const auto& param) { return std::string(param.param.name); });

TEST(StreamMetricsOfNothing, AreRefused) {
  const Model model = fixture_model("llama");
  TrainingData data = made_up_training(4);
  for (TokenWindow& window : data.windows) window.first_row = static_cast<int64_t>(window.tokens.size());
  expect_error(ErrorKind::kInvalidArgument, {"no row is scored"}, [&] {
    stream_metrics(model, {.rows = longest_rows(data), .batch = [&](int64_t) {
                             return batch_of(data, std::vector<int64_t>{0, 1, 2, 3}, at::kCPU);
                           }});
  });
}

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
    a.metrics = &metrics;
    a.feature_weight = at::full({}, 3);
    a.logits = at::ones({2, 1, 3}, at::kDouble);
    a.teacher = at::arange(6, at::kDouble).reshape({2, 1, 3});
    EXPECT_NEAR(find_loss("distillation-fisher").of_examples(a)[e].item<double>(),
                find_loss("distillation").of_examples(a)[e].item<double>() + 3 * sum / 2, 1e-10);
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

// What a GPU multiplies in bfloat16: each factor is rounded to 8 bits, 0.4% at most, and their sums are not.
TEST(StreamDivergence, IsCloseByMetricsOfFewerBits) {
  at::manual_seed(8);
  const at::Tensor m = at::randn({64, 64});
  const std::vector<StreamMetric> wide = {{at::matmul(m, m.t()), {}}},
                                  narrow = {{wide[0].answering.to(at::kBFloat16), {}}};
  Answered a;
  a.once = true;
  a.labels = at::ones({4, 16}, at::kLong);
  a.teacher_streams = {100 * at::randn({4, 16, 64})};
  a.streams = {(a.teacher_streams[0] + at::randn({4, 16, 64})).set_requires_grad(true)};
  const auto gradient_by = [&](const std::vector<StreamMetric>& metrics) {
    const at::Tensor divergence = stream_divergence(metrics, a);
    EXPECT_EQ(divergence.scalar_type(), at::kFloat);
    const at::Tensor exact = stream_divergence(wide, a).detach();
    EXPECT_LT(((divergence.detach() - exact) / exact).abs().max().item<float>(), 0.01F);
    return torch::autograd::grad({divergence.sum()}, {a.streams[0]})[0];
  };
  const at::Tensor exact = gradient_by(wide), got = gradient_by(narrow);
  EXPECT_EQ(got.scalar_type(), at::kFloat);
  EXPECT_LT((got - exact).norm().item<float>(), 0.01F * exact.norm().item<float>());
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
