#include <gtest/gtest.h>

#include "vernier/reliability.h"

namespace vernier {
namespace {

using Case = ConfidenceClaim::Case;

/// @param before confidence less accuracy @param change of the calibration error; both known to 0.01
Case a_case(double before, double change) {
  const auto known = [](double value) { return ConfidenceInterval{value - 0.01, value + 0.01}; };
  Case one{"int4", ""};
  one.before = {before, known(before)};
  one.after = {0.1 + change, known(0.1 + change), change, known(change)};
  return one;
}

ConfidenceClaim judged(const std::vector<std::pair<double, double>>& cases) {
  std::vector<Case> all;
  for (const auto& [before, change] : cases) all.push_back(a_case(before, change));
  return judge_confidence_claim(std::move(all));
}

TEST(ConfidenceClaim, Confirmed) {
  const ConfidenceClaim claim = judged({{-0.05, -0.03}, {-0.04, -0.02}, {0.05, 0.02}, {0.05, 0.0}, {0.0, 0.0}});
  EXPECT_EQ(claim.verdict, ConfidenceClaim::Verdict::kConfirmed);
  EXPECT_EQ(name_of(claim.verdict), "confirmed");
  EXPECT_TRUE(claim.cases[0].under_confident && claim.cases[2].over_confident);
  EXPECT_FALSE(claim.cases[4].under_confident || claim.cases[4].over_confident);
  EXPECT_EQ(claim.cases[0].calibration, Comparison::kBetter);
  EXPECT_EQ(claim.cases[2].calibration, Comparison::kWorse);
  EXPECT_EQ(
      claim.reason,
      "of 5 cases (models, and groups of their examples) the original was under-confident in 2, where calibration "
      "got better in 2 and worse in 0, and over-confident in 2, where it got better in 0 and worse in 1");
}

TEST(ConfidenceClaim, RefutedWhereOverConfidenceWasMended) {
  EXPECT_EQ(judged({{0.05, -0.03}}).verdict, ConfidenceClaim::Verdict::kRefuted) << "one of one is no luck: 1/40";
  EXPECT_EQ(judged({{0.05, -0.03}, {0.05, -0.02}, {-0.05, -0.03}}).verdict, ConfidenceClaim::Verdict::kRefuted);
}

TEST(ConfidenceClaim, UndecidedByLuckAndWhereNothingCouldContradict) {
  std::vector<std::pair<double, double>> many(20, {0.05, 0.0});
  many.emplace_back(0.05, -0.0125);
  EXPECT_EQ(judged(many).verdict, ConfidenceClaim::Verdict::kUndecided) << "21 times 0.007, at 2.45 standard errors";
  many.back() = {0.05, -0.016};
  EXPECT_EQ(judged(many).verdict, ConfidenceClaim::Verdict::kRefuted) << "21 times 0.0009, at 3.14";
  EXPECT_EQ(judged({{-0.05, -0.03}, {-0.05, -0.03}}).verdict, ConfidenceClaim::Verdict::kUndecided)
      << "nothing was over-confident";
  EXPECT_EQ(judged({}).verdict, ConfidenceClaim::Verdict::kUndecided);
}

TEST(Headlines, CountModels) {
  Reliability found;
  found.dimensions.push_back({"attacks", "Attacks"});
  found.dimensions[0].summary = {
      {"a", Comparison::kBetter, ""}, {"b", Comparison::kWorse, ""}, {"c", Comparison::kWorse, ""}};
  found.dimensions.push_back({"confidence", "Confidence"});
  add_headlines(found);
  EXPECT_EQ(found.dimensions[0].headline, "Attacks: better in 1, worse in 2 and undecided in 0 of 3 models.");
  EXPECT_EQ(found.dimensions[1].headline, "");
}

}  // namespace
}  // namespace vernier
