#include <gmock/gmock.h>

#include <cmath>

#include "support/expect_error.h"
#include "vernier/groups.h"

namespace vernier {
namespace {

using ::testing::ElementsAre;

TEST(Answers, OfLogitsByHand) {
  const std::vector<float> logits{0, 0, 3, 1, 1, 1};
  const std::vector<int32_t> labels{2, 1};
  const Answers answers = answers_of_logits("m", logits, 3, labels);
  EXPECT_THAT(answers.predicted, ElementsAre(2, 0));  // the first of equal ones
  EXPECT_THAT(answers.correct, ElementsAre(1, 0));
  EXPECT_NEAR(answers.loss_nats[0], std::log(2 + std::exp(3.0)) - 3, 1e-12);
  EXPECT_NEAR(answers.loss_nats[1], std::log(3.0), 1e-12);
  EXPECT_NEAR(answers.logit_variance[0], 2, 1e-12);
  EXPECT_NEAR(answers.margin[0], 3, 1e-12);
  EXPECT_NEAR(answers.margin[1], 0, 1e-12);
  EXPECT_NEAR(answers.entropy_nats[1], std::log(3.0), 1e-12);
  EXPECT_NEAR(answers.confidence[0], std::exp(3.0) / (2 + std::exp(3.0)), 1e-12);
}

TEST(Answers, LargeLogitsDoNotOverflow) {
  const Answers answers = answers_of_logits("m", std::vector<float>{3e4F, -3e4F}, 2, std::vector<int32_t>{0});
  EXPECT_EQ(answers.loss_nats[0], 0);
  EXPECT_EQ(answers.entropy_nats[0], 0);
  const Answers wrong = answers_of_logits("m", std::vector<float>{3e2F, -3e2F}, 2, std::vector<int32_t>{1});
  EXPECT_NEAR(wrong.loss_nats[0], 600, 1e-9);
}

TEST(Answers, WithoutLabelsThereIsNoLoss) {
  const Answers answers = answers_of_logits("m", std::vector<float>{1, 2}, 2, std::vector<int32_t>{-1});
  EXPECT_TRUE(answers.loss_nats.empty() && answers.correct.empty() && answers.margin.empty());
  EXPECT_THAT(answers.predicted, ElementsAre(1));
}

TEST(Answers, WhatIsNoneIsRefused) {
  const auto refused = [](std::vector<float> logits, int64_t classes, std::vector<int32_t> labels,
                          const std::vector<std::string>& parts) {
    expect_error(ErrorKind::kInvalidArgument, parts, [&] { answers_of_logits("int4", logits, classes, labels); });
  };
  refused({1, 2, 3}, 2, {0}, {"int4", "3 logits", "1 examples of 2"});
  refused({1}, 1, {0}, {"at least 2"});
  refused({1, 2, 1, NAN}, 2, {0, 0}, {"example 1", "finite"});
  refused({1, 2}, 2, {2}, {"example 0", "label 2", "0 to 1"});
}

TEST(Answers, ModalOfSeveralModels) {
  std::vector<Answers> models(3);
  models[0].predicted = {0, 1, 2, 0};
  models[1].predicted = {1, 1, 0, 1};
  models[2].predicted = {1, 0, 1, 2};
  const Answers modal = modal_answers(models, std::vector<int32_t>{1, 1, 1, 1});
  EXPECT_THAT(modal.predicted, ElementsAre(1, 1, 2, 0)) << "a tie is the earliest model's";
  EXPECT_THAT(modal.correct, ElementsAre(1, 1, 0, 0));
  models[1].predicted.pop_back();
  expect_error(ErrorKind::kInvalidArgument, {"same examples"}, [&] { modal_answers(models, {}); });
  expect_error(ErrorKind::kInvalidArgument, {"no models"}, [] { modal_answers({}, {}); });
}

}  // namespace
}  // namespace vernier
