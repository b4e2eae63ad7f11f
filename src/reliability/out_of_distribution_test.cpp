// Detection against scikit-learn and brute force, scores by their definitions.

#include "vernier/out_of_distribution.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/json.h"
#include "reliability/detection_dimension.h"
#include "support/expect_error.h"

namespace vernier {
namespace {

constexpr double kFloat64Rounding = 1e-12;  // float64 on both sides

void expect_detection(const Detection& found, const Json& expected) {
  EXPECT_NEAR(found.auroc, expected["auroc"].get<double>(), kFloat64Rounding);
  EXPECT_NEAR(found.aupr_in, expected["aupr_in"].get<double>(), kFloat64Rounding);
  EXPECT_NEAR(found.aupr_out, expected["aupr_out"].get<double>(), kFloat64Rounding);
  EXPECT_NEAR(found.fpr95, expected["fpr95"].get<double>(), kFloat64Rounding);
}

TEST(Detection, EqualsScikitLearnWithTiesAndWeights) {
  const Json json = read_json(std::filesystem::path(VERNIER_SOURCE_DIR) / "tests/fixtures/reliability/detection.json");
  const auto inside = json["inside"].get<std::vector<double>>(), outside = json["outside"].get<std::vector<double>>();
  expect_detection(detection_of(inside, outside), json["plain"]);
  expect_detection(DetectionSweep(inside, outside).of(json["weights"].get<std::vector<double>>()), json["weighted"]);
}

TEST(Detection, ByHand) {
  const Detection found = detection_of(std::vector<double>{3, 2, 1}, std::vector<double>{2, 0});
  EXPECT_DOUBLE_EQ(found.auroc, (2 + 1.5 + 1) / 6) << "pairs in order, ties half";
  EXPECT_DOUBLE_EQ(found.fpr95, 0.5) << "a threshold that keeps all three keeps the 2";
  EXPECT_TRUE(std::isnan(detection_of(std::vector<double>{1}, {}).auroc));
  expect_error(ErrorKind::kInvalidArgument, {"not a number"},
               [] { detection_of(std::vector<double>{NAN}, std::vector<double>{0}); });
}

TEST(OodScores, AreTheirDefinitions) {
  const std::vector<float> z{1, 2, -1};
  const double total = std::exp(1.0) + std::exp(2.0) + std::exp(-1.0);
  EXPECT_NEAR(find_ood_score("msp")->of_logits(z), std::log(std::exp(2) / total), kFloat64Rounding);
  EXPECT_NEAR(find_ood_score("energy")->of_logits(z), std::log(total), kFloat64Rounding);
  EXPECT_EQ(find_ood_score("max_logit")->of_logits(z), 2);
  double entropy = 0;
  for (const double x : z) entropy -= std::exp(x) / total * std::log(std::exp(x) / total);
  EXPECT_NEAR(find_ood_score("entropy")->of_logits(z), -entropy, kFloat64Rounding);
  EXPECT_EQ(find_ood_score("luck"), nullptr);
  const std::vector<float> sure{50, 0, 0}, surer{60, 0, 0};
  EXPECT_LT(find_ood_score("msp")->of_logits(sure), find_ood_score("msp")->of_logits(surer)) << "not both 1";
}

TEST(DetectionDimension, IntervalsHoldTheValues) {
  DetectionSubject sharp{"f32", 2, {}, {}}, blind{"blind", 2, {}, {}};
  for (int i = 0; i < 200; ++i) {
    const auto u = static_cast<float>(i % 17) / 17, v = static_cast<float>(i % 13) / 13;
    sharp.inside.insert(sharp.inside.end(), {2 + u, 0});
    sharp.outside.insert(sharp.outside.end(), {v, 0});
    blind.inside.insert(blind.inside.end(), {u, 0});
    blind.outside.insert(blind.outside.end(), {v, 0});
  }
  ReliabilityOptions options;
  options.bootstrap_draws = 100;
  const ReliabilityDimension dimension = detection_dimension({sharp, blind}, options);
  EXPECT_EQ(dimension.rows.size(), 16u);
  EXPECT_EQ(dimension.rows[0].models[0].value, 1);
  EXPECT_NEAR(dimension.rows[0].models[1].value, 0.5, 0.05);
  EXPECT_TRUE(dimension.rows[0].models[1].interval.contains(dimension.rows[0].models[1].value));
  EXPECT_EQ(dimension.summary[0].comparison, Comparison::kWorse);
}

}  // namespace
}  // namespace vernier
