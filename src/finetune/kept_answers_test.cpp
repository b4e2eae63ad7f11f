#include "finetune/kept_answers.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "support/expect_error.h"
#include "support/training_data.h"
#include "vernier/planning.h"
#include "vernier/quantize.h"

namespace vernier {
namespace {

class KeptAnswersTest : public ::testing::Test {
 protected:
  KeptAnswers kept(double resample) {
    return {texts_, teacher_, at::kCPU, {.batch = 5, .resample = resample, .seed = 3}};
  }

  const Model model_ = fixture_model("llama");
  TrainingData texts_ = made_up_training(13);
  const BatchForward teacher_{model_, longest_rows(texts_), at::kCPU, {}};
  const std::vector<int64_t> some_{7, 2, 7, 12};
};

TEST_F(KeptAnswersTest, AreThoseThatTheModelGives) {
  KeptAnswers answers = kept(0);
  answers.make(0);
  const ExampleBatch batch = batch_of(texts_, some_, at::kCPU, longest_rows(texts_));
  EXPECT_TRUE(at::equal(answers.inputs(some_), batch.inputs));
  const at::Tensor own = teacher_.logits_of(answers.states(some_)), right = teacher_.answers(batch).logits;
  // Of batches of another size; sums in another order.
  EXPECT_LT((own - right).abs().max().item<double>(), 1e-4 * right.abs().max().item<double>());
}

TEST_F(KeptAnswersTest, AreOfTheTextThatWasDrawn) {
  texts_.self_written.assign(13, false);
  texts_.self_written[2] = true;
  KeptAnswers answers = kept(0.4);
  answers.make(0);
  const at::Tensor given = batch_of(texts_, some_, at::kCPU, longest_rows(texts_)).inputs;
  const at::Tensor first = answers.inputs(some_);
  EXPECT_FALSE(at::equal(first[0], given[0]));
  EXPECT_TRUE(at::equal(first[0], first[2]));
  EXPECT_TRUE(at::equal(first[1], given[1])) << "what it wrote itself stays";
  ExampleBatch drawn;
  drawn.inputs = drawn.labels = first;
  const at::Tensor own = teacher_.logits_of(answers.states(some_)), right = teacher_.answers(drawn).logits;
  EXPECT_LT((own - right).abs().max().item<double>(), 1e-4 * right.abs().max().item<double>());

  answers.make(1);
  EXPECT_FALSE(at::equal(answers.inputs(some_)[0], first[0])) << "another pass draws others";
  answers.make(0);
  EXPECT_TRUE(at::equal(answers.inputs(some_), first));
}

class KeptAnswersOfTraining : public ::testing::TestWithParam<const char*> {};

TEST_P(KeptAnswersOfTraining, EndAsTheOthersDo) {
  const Model model = fixture_model(GetParam());
  const Plan plan = plan_uniform(model, "int2:g32:asym", "huggingface");
  FinetuneOptions options = forty_steps();
  const auto curve = [&](int64_t keep) {
    options.keep_answers = keep;
    return finetune(model, plan, {}, made_up_training(64), made_up_training(32, 100), options).trained;
  };
  const FinetuneCurve asked = curve(0);
  EXPECT_LT(asked.best, 0.8 * asked.points[0].validation.worst_kl_nats()) << "there is something to compare";
  EXPECT_NEAR(curve(10).best, asked.best, 0.02 * asked.best);  // a few codes that the last bits of sums tip
  // Words that stay as they were drawn are others than those drawn at every step.
  options.resample = 0.4;
  const FinetuneCurve drawn = curve(0);
  EXPECT_LT(drawn.best, 0.8 * drawn.points[0].validation.worst_kl_nats());
  EXPECT_NE(curve(1000).best, drawn.best);
}

INSTANTIATE_TEST_SUITE_P(Models, KeptAnswersOfTraining, ::testing::Values("llama", "mixtral"),
                         [](const auto& param) { return std::string(param.param); });

TEST(KeptAnswersOfOtherLosses, AreRefused) {
  const Model model = fixture_model("llama");
  const Plan plan = plan_uniform(model, "int4:g32:asym", "huggingface");
  FinetuneOptions options;
  options.steps = 1;
  options.keep_answers = 5;
  for (const char* loss : {"cross-entropy", "distillation-streams"}) {
    options.loss = loss;
    expect_error(ErrorKind::kUnsupported, {"--keep-answers", loss},
                 [&] { finetune(model, plan, {}, made_up_training(4), made_up_training(4, 100), options); });
  }
  options.keep_answers = -1;
  expect_error(ErrorKind::kInvalidArgument, {"-1"},
               [&] { finetune(model, plan, {}, made_up_training(4), made_up_training(4, 100), options); });
}

}  // namespace
}  // namespace vernier
