// Calibration errors against hand computation, torchmetrics, scikit-learn and SciPy (tests/fixtures/reliability/PROVENANCE.md).

#include "vernier/confidence_calibration.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "base/json.h"
#include "reliability/confidence_dimension.h"
#include "reliability/confidence_figures.h"
#include "support/expect_error.h"

namespace vernier {
namespace {

class ConfidenceFixture : public ::testing::Test {
 protected:
  const Json json_ =
      read_json(std::filesystem::path(VERNIER_SOURCE_DIR) / "tests/fixtures/reliability/confidence.json");
  const std::vector<float> logits_ = json_["logits"].get<std::vector<float>>();
  const std::vector<int32_t> labels_ = json_["labels"].get<std::vector<int32_t>>();
  const Predictions said_ = predictions_of_logits(logits_, 5, labels_);
  double expected(const char* key) const { return json_[key].get<double>(); }
};

TEST_F(ConfidenceFixture, AgreesWithTorchmetricsScikitLearnAndScipy) {
  const std::vector<ConfidenceBin> bins = reliability_bins(said_, {});
  const double float32 = 2e-6;  // torchmetrics sums in float32
  EXPECT_NEAR(expected_calibration_error(bins), expected("ece"), float32);
  EXPECT_NEAR(maximum_calibration_error(bins), expected("mce"), float32);
  const double rounding = 1e-12;  // float64 on both sides
  EXPECT_NEAR(signed_calibration_error(bins), expected("ece_signed"), rounding);
  EXPECT_NEAR(expected_calibration_error(reliability_bins(said_, {15, Binning::kEqualMass})),
              expected("ece_equal_mass"), rounding);
  EXPECT_NEAR(brier_score(said_), expected("brier"), rounding);
  EXPECT_NEAR(mean_loss_nats(said_), expected("loss_nats"), rounding);
  EXPECT_NEAR(classwise_calibration_error(said_), expected("ece_classwise"), 1e-7)
      << "probabilities are kept as float32";
  EXPECT_NEAR(fit_temperature(logits_, 5, labels_), expected("temperature"), 1e-6) << "where SciPy's search stops";
}

TEST_F(ConfidenceFixture, FiguresOfABootstrapAreTheSame) {
  std::vector<double> found(confidence_figure_rows().size());
  const std::vector<double> once(said_.size(), 1.0);
  ConfidenceFigures(said_, 15).of(once, found);
  const std::vector<ConfidenceBin> bins = reliability_bins(said_, {});
  const double expected[] = {0,
                             0,
                             expected_calibration_error(bins),
                             signed_calibration_error(bins),
                             expected_calibration_error(reliability_bins(said_, {15, Binning::kEqualMass})),
                             maximum_calibration_error(bins),
                             brier_score(said_),
                             mean_loss_nats(said_)};
  for (size_t f = 2; f < found.size(); ++f)
    EXPECT_NEAR(found[f], expected[f], 1e-12) << confidence_figure_rows()[f].key;
  // An example of weight 2 is one that is there twice.
  std::vector<double> weights(said_.size());
  std::vector<float> twice;
  std::vector<int32_t> labels;
  for (size_t i = 0; i < said_.size(); ++i) {
    weights[i] = static_cast<double>(i % 3);
    for (size_t k = 0; k < i % 3; ++k) {
      twice.insert(twice.end(), logits_.begin() + static_cast<int64_t>(i) * 5,
                   logits_.begin() + static_cast<int64_t>(i + 1) * 5);
      labels.push_back(labels_[i]);
    }
  }
  ConfidenceFigures(said_, 15).of(weights, found);
  const Predictions repeated = predictions_of_logits(twice, 5, labels);
  EXPECT_NEAR(found[2], expected_calibration_error(reliability_bins(repeated, {})), 1e-12);
  EXPECT_NEAR(found[7], mean_loss_nats(repeated), 1e-12);
  EXPECT_NEAR(classwise_calibration_error(said_, 15, weights), classwise_calibration_error(repeated), 1e-12);
}

TEST(ConfidenceCalibration, ByHand) {
  // Confidences .6 and .8 fall into bins (.5, .75] and (.75, 1] of four; one of two right in each.
  Predictions said;
  said.confidence = {0.6, 0.6, 0.8, 0.8};
  said.correct = {1, 0, 1, 1};
  const std::vector<ConfidenceBin> bins = reliability_bins(said, {4});
  EXPECT_DOUBLE_EQ(expected_calibration_error(bins), 0.5 * 0.1 + 0.5 * 0.2);
  EXPECT_DOUBLE_EQ(signed_calibration_error(bins), 0.5 * 0.1 - 0.5 * 0.2);
  EXPECT_DOUBLE_EQ(maximum_calibration_error(bins), 1 - 0.8);
  EXPECT_TRUE(std::isnan(bins[0].accuracy));
  EXPECT_EQ(bins[2].weight, 2);
}

TEST(ConfidenceCalibration, BinsAreOpenBelowAndClosedAbove) {
  const std::vector<double> at_the_ends{0, 0.25, 0.2500001, 0.5, 1};
  EXPECT_EQ(bins_of(at_the_ends, {4}), (std::vector<int32_t>{0, 0, 1, 1, 3}));
  EXPECT_EQ(bins_of(at_the_ends, {2, Binning::kEqualMass}), (std::vector<int32_t>{0, 0, 0, 1, 1}));
}

TEST(ConfidenceCalibration, TheHalvesOfARefitHaveAllClassesWhateverTheOrder) {
  // Sure and right of one class, sure and wrong of the other: halves of one class each would find two temperatures.
  std::vector<float> turns, sorted;
  std::vector<int32_t> labels_in_turns, sorted_labels;
  for (int i = 0; i < 40; ++i)
    for (const int32_t label : {0, 1}) {
      const float right = label == 0 || i % 5 == 0 ? 3.0f + 0.01f * static_cast<float>(i) : -2.0f;
      turns.insert(turns.end(), {label == 0 ? right : 0.0f, label == 0 ? 0.0f : right});
      labels_in_turns.push_back(label);
    }
  for (const int32_t label : {0, 1})
    for (size_t i = 0; i < labels_in_turns.size(); ++i)
      if (labels_in_turns[i] == label) {
        sorted.insert(sorted.end(), {turns[2 * i], turns[2 * i + 1]});
        sorted_labels.push_back(label);
      }
  const Refit a = refit_temperature(turns, 2, labels_in_turns), b = refit_temperature(sorted, 2, sorted_labels);
  EXPECT_NEAR(a.temperature_of_even, b.temperature_of_even, 1e-9) << "but for the order of sums";
  EXPECT_NEAR(a.temperature_of_odd, b.temperature_of_odd, 1e-9);
  EXPECT_NEAR(a.temperature_of_even, a.temperature_of_odd, 0.2 * a.temperature_of_odd);
}

TEST(ConfidenceCalibration, RefitFindsTheTemperatureThatWasPutIn) {
  // Labels drawn from the softmax itself; three times as large logits ask for a temperature of three.
  std::mt19937_64 random(1);
  std::normal_distribution<double> normal;
  std::vector<float> logits;
  std::vector<int32_t> labels;
  for (int i = 0; i < 20000; ++i) {
    double row[3], total = 0;
    for (double& z : row) z = normal(random), total += std::exp(z);
    double u = std::uniform_real_distribution<double>(0, total)(random);
    int32_t label = 0;
    while (label < 2 && (u -= std::exp(row[label])) > 0) ++label;
    labels.push_back(label);
    for (const double z : row) logits.push_back(static_cast<float>(3 * z));
  }
  const Refit refit = refit_temperature(logits, 3, labels);
  const double error = 0.1;  // about three standard errors of 10,000 examples
  EXPECT_NEAR(refit.temperature_of_even, 3, error);
  EXPECT_NEAR(refit.temperature_of_odd, 3, error);
  const Predictions before = predictions_of_logits(logits, 3, labels);
  EXPECT_GT(signed_calibration_error(reliability_bins(before, {})), 0.1) << "over-confident";
  EXPECT_LT(expected_calibration_error(reliability_bins(refit.predictions, {})), 0.02);
  EXPECT_EQ(refit.predictions.correct, before.correct) << "a temperature changes no answer";
}

TEST(ConfidenceCalibration, WhatCannotBe) {
  const std::vector<float> logits{1, 2, 3, 4};
  expect_error(ErrorKind::kInvalidArgument, {"label 2", "0 to 1"}, [&] {
    predictions_of_logits(logits, 2, std::vector<int32_t>{0, 2});
  });
  expect_error(ErrorKind::kInvalidArgument, {"4 logits"}, [&] { fit_temperature(logits, 3, std::vector<int32_t>{0}); });
  expect_error(ErrorKind::kInvalidArgument, {"no finite number"}, [] {
    predictions_of_logits(std::vector<float>{1, NAN}, 2, std::vector<int32_t>{0});
  });
  expect_error(ErrorKind::kInvalidArgument, {"0 bins"}, [] { bins_of(std::vector<double>{0.5}, {0}); });
}

TEST_F(ConfidenceFixture, ADimensionComparesWithTheFirstModel) {
  std::vector<float> sharper = logits_;
  for (float& z : sharper) z *= 4;
  std::vector<ConfidenceSubject> subjects;
  for (const auto& [name, logits] : {std::pair{"f32", logits_}, std::pair{"sharper", sharper}}) {
    Refit refit = refit_temperature(logits, 5, labels_);
    subjects.push_back({name, predictions_of_logits(logits, 5, labels_), std::move(refit.predictions),
                        fit_temperature(logits, 5, labels_)});
  }
  std::vector<std::string> halves;
  for (size_t i = 0; i < labels_.size(); ++i) halves.emplace_back(i < 390 ? "most" : "few");
  ReliabilityOptions options;
  options.bootstrap_draws = 200;
  const ReliabilityDimension dimension = confidence_dimension(subjects, {{"part", halves}}, {}, options);
  int of_most = 0;
  for (const ReliabilityRow& row : dimension.rows) {
    EXPECT_NE(row.group, "part few") << "too few";
    of_most += row.group == "part most" ? 1 : 0;
    ASSERT_EQ(row.models.size(), 2u);
    EXPECT_DOUBLE_EQ(row.models[0].change, 0);
    EXPECT_DOUBLE_EQ(row.models[1].change, row.models[1].value - row.models[0].value) << row.key;
    if (row.key == "temperature") {
      EXPECT_NEAR(row.models[1].value, 4 * row.models[0].value, 1e-4);
    }
    if (row.key == "accuracy") {
      EXPECT_EQ(row.models[1].change, 0);
    }
    if (row.key == "loss_nats_refitted") {
      EXPECT_NEAR(row.models[1].value, row.models[0].value, 1e-6) << "a temperature is all that was changed";
    }
  }
  EXPECT_EQ(of_most, 9) << "five figures, and after a refit all but accuracy";
  ASSERT_TRUE(dimension.claim);
  ASSERT_EQ(dimension.claim->cases.size(), 2u);
  EXPECT_EQ(dimension.claim->cases[1].group, "part most");
  EXPECT_DOUBLE_EQ(dimension.claim->cases[0].after.change, dimension.rows[2].models[1].change);
  ASSERT_EQ(dimension.summary.size(), 1u);
  EXPECT_EQ(dimension.summary[0].comparison, Comparison::kWorse) << dimension.summary[0].text;
  EXPECT_NE(dimension.summary[0].text.find("over-confident"), std::string::npos);
}

}  // namespace
}  // namespace vernier
