#include "vernier/group_chain.h"

#include <gmock/gmock.h>

#include <cmath>
#include <random>

#include "base/json.h"
#include "support/expect_error.h"

namespace vernier {
namespace {

/// Ten groups that behave as the paper says, but for noise.
std::vector<ChainRecord> as_claimed(double noise = 0) {
  std::mt19937_64 random(2);
  std::normal_distribution<double> normal;
  std::vector<ChainRecord> records;
  for (int g = 1; g <= 10; ++g) {
    const double harm = 0.02 * g;
    const auto noisy = [&](double value) { return value + noise * normal(random); };
    records.push_back({.group = std::string(1, static_cast<char>('a' + g)),
                       .examples = 1000 - 90 * g,
                       .activation_change = noisy(0.1 + harm),
                       .logit_variance_change = noisy(-0.05 - 2 * harm),
                       .loss_change = noisy(harm),
                       .accuracy_change = noisy(-harm / 2),
                       .rescaled_loss_change = noisy(0.2 * harm),
                       .gradient_norm = noisy(5 * harm),
                       .top_eigenvalue = noisy(40 * harm),
                       .foretold_loss_change = noisy(harm + 0.001 * (g % 3 - 1)),
                       .expanded_loss_change = noisy(harm)});
  }
  return records;
}

const ChainStep& step(const ChainReport& report, const std::string& key) {
  for (const ChainStep& step : report.steps)
    if (step.key == key) return step;
  throw std::out_of_range(key);
}

TEST(GroupChain, AsClaimedIsConfirmed) {
  const ChainReport report = chain_test(as_claimed());
  EXPECT_EQ(report.verdict, ClaimVerdict::kConfirmed);
  ASSERT_EQ(report.steps.size(), 9u);
  for (const ChainStep& link : report.steps) {
    EXPECT_EQ(link.verdict, ClaimVerdict::kConfirmed) << link.key;
    EXPECT_EQ(link.groups, 10) << link.key;
  }
  EXPECT_DOUBLE_EQ(step(report, "variance_explains_loss").correlation, -1);
  EXPECT_NEAR(step(report, "variance_explains_loss").slope, -0.5, 1e-12);
  EXPECT_NEAR(step(report, "variance_explains_loss").r_squared, 1, 1e-12);
  EXPECT_NEAR(step(report, "gradient_foretells").slope, 0.2, 1e-12);
  EXPECT_NEAR(step(report, "rescaling_restores").correlation, 0.8, 1e-12);
  EXPECT_EQ(step(report, "variance_falls").correlation, 1);
}

TEST(GroupChain, TheOppositeIsRefuted) {
  std::vector<ChainRecord> records = as_claimed();
  for (ChainRecord& record : records) {
    record.logit_variance_change = -record.logit_variance_change;
    record.rescaled_loss_change = 0.9 * record.loss_change;
    record.foretold_loss_change *= 4;
    record.examples = 1000 - record.examples;
  }
  const ChainReport report = chain_test(records);
  for (const char* key : {"activations_lower_variance", "variance_falls", "variance_explains_loss",
                          "rescaling_restores", "expansion_foretells", "minorities_pay"})
    EXPECT_EQ(step(report, key).verdict, ClaimVerdict::kRefuted) << key;
  EXPECT_EQ(step(report, "loss_explains_accuracy").verdict, ClaimVerdict::kConfirmed);
  EXPECT_EQ(report.verdict, ClaimVerdict::kRefuted);
}

TEST(GroupChain, RatiosAndSharesOfFewGroupsDecideNothingEither) {
  std::vector<ChainRecord> records = as_claimed();
  for (ChainRecord& record : records) record.rescaled_loss_change = record.loss_change;
  records.resize(4);
  const ChainReport report = chain_test(records);
  for (const ChainStep& link : report.steps) EXPECT_EQ(link.verdict, ClaimVerdict::kUndecided) << link.key;
  EXPECT_NEAR(step(report, "rescaling_restores").correlation, 0, 1e-12) << "what was found is told all the same";
  EXPECT_EQ(report.verdict, ClaimVerdict::kUndecided);
  records = as_claimed();
  records.resize(5);
  EXPECT_EQ(step(chain_test(records), "rescaling_restores").verdict, ClaimVerdict::kConfirmed);
}

TEST(GroupChain, NoiseIsUndecided) {
  const ChainReport report = chain_test(as_claimed(5));
  for (const char* key : {"activations_lower_variance", "variance_explains_loss", "loss_explains_accuracy"})
    EXPECT_EQ(step(report, key).verdict, ClaimVerdict::kUndecided) << key;
  EXPECT_NE(report.verdict, ClaimVerdict::kConfirmed);
}

// 200 sets of groups without any relation: confirmed or refuted in about 5 %.
TEST(GroupChain, UnrelatedFiguresAreRarelyDecided) {
  std::mt19937_64 random(5);
  std::normal_distribution<double> normal;
  int decided = 0;
  for (int round = 0; round < 200; ++round) {
    std::vector<ChainRecord> records(7);
    for (ChainRecord& record : records) record.loss_change = normal(random), record.gradient_norm = normal(random);
    decided += step(chain_test(records), "gradient_foretells").verdict == ClaimVerdict::kUndecided ? 0 : 1;
  }
  EXPECT_LE(decided, 19) << "5 % and three standard deviations";
}

TEST(GroupChain, FewGroupsDecideNothing) {
  std::vector<ChainRecord> records = as_claimed();
  records.resize(4);
  const ChainReport report = chain_test(records);
  EXPECT_EQ(step(report, "variance_explains_loss").verdict, ClaimVerdict::kUndecided) << "p is 2/24";
  EXPECT_NEAR(step(report, "variance_explains_loss").p, 2.0 / 24, 1e-12);
  EXPECT_EQ(report.verdict, ClaimVerdict::kUndecided);
  EXPECT_EQ(chain_test({}).verdict, ClaimVerdict::kUndecided);
  expect_error(ErrorKind::kInvalidArgument, {"confidence 2"}, [] { chain_test({}, 2); });
}

TEST(GroupChain, WhatWasNotMeasuredIsLeftOut) {
  std::vector<ChainRecord> records = as_claimed();
  for (ChainRecord& record : records) record.activation_change = record.accuracy_change = kNotMeasured;
  records[0].gradient_norm = kNotMeasured;
  const ChainReport report = chain_test(records);
  EXPECT_EQ(step(report, "activations_lower_variance").groups, 0);
  EXPECT_EQ(step(report, "gradient_foretells").groups, 9);
  EXPECT_EQ(report.verdict, ClaimVerdict::kConfirmed) << "of the links that were measured";
  for (ChainRecord& record : records) record.logit_variance_change = kNotMeasured;
  EXPECT_EQ(chain_test(records).verdict, ClaimVerdict::kUndecided) << "the middle of the chain is missing";
}

// Logits halved: all of the loss returns and no answer changed. Turned logits: none returns.
TEST(GroupChain, RescalingUndoesShrinkingOnly) {
  GroupedExamples examples{.name = "e", .count = 40, .classes = 3};
  std::vector<float> logits, halved, turned;
  std::mt19937_64 random(3);
  std::normal_distribution<float> normal;
  for (int i = 0; i < 40; ++i) {
    examples.labels.push_back(i % 3);
    for (int c = 0; c < 3; ++c) {
      logits.push_back(normal(random) + (c == i % 3 ? 2.0F : 0.0F));
      halved.push_back(logits.back() / 2);
    }
    for (const int c : {1, 2, 0}) turned.push_back(logits[static_cast<size_t>(3 * i + c)]);
  }
  const auto answers = [&](const std::vector<float>& of) { return answers_of_logits("m", of, 3, examples.labels); };
  const Answers reference = answers(logits);
  const Answers restored = rescaled_answers(examples, reference, answers(halved));
  EXPECT_EQ(restored.predicted, reference.predicted);
  for (size_t i = 0; i < 40; ++i) EXPECT_NEAR(restored.loss_nats[i], reference.loss_nats[i], 1e-6);
  const Answers same = rescaled_answers(examples, reference, answers(turned));
  for (size_t i = 0; i < 40; ++i) EXPECT_NEAR(same.loss_nats[i], answers(turned).loss_nats[i], 1e-6);
  expect_error(ErrorKind::kInvalidArgument, {"e", "logits that differ"},
               [&] { rescaled_answers(examples, reference, answers(std::vector<float>(120, 1.0F))); });
}

TEST(GroupChain, RecordsOfAnAnalysis) {
  AttributeResult attribute{.name = "g"};
  GroupResult group{.name = "a", .examples = 30, .clusters = 30};
  group.figures["loss_nats"].change.value = 0.25;
  group.figures["logit_variance"].reference = 4;
  group.figures["logit_variance"].change.value = -1;
  attribute.groups = {group, {.name = "small", .examples = 3, .clusters = 3}};
  const auto records = chain_records(attribute);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].loss_change, 0.25);
  EXPECT_EQ(records[0].logit_variance_change, -0.25);
  EXPECT_TRUE(std::isnan(records[0].accuracy_change));
}

TEST(GroupChain, JsonBothWays) {
  const auto records = as_claimed(0.01);
  const ChainReport report = chain_test(records);
  const Json json = chain_report_to_json(report, records);
  const ChainReport again = chain_report_from_json(parse_json(json_text(json), "chain.json"), "chain.json");
  EXPECT_EQ(json_text(chain_report_to_json(again, records)), json_text(json));
  Json bad = json;
  bad["steps"][2]["verdict"] = "maybe";
  expect_error(ErrorKind::kBadFile, {"chain.json.steps[2]", "maybe"},
               [&] { chain_report_from_json(bad, "chain.json"); });
  bad["kind"] = "groups";
  expect_error(ErrorKind::kBadFile, {"chain"}, [&] { chain_report_from_json(bad, "chain.json"); });
}

}  // namespace
}  // namespace vernier
