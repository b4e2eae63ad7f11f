#include <gmock/gmock.h>

#include <cmath>

#include "support/expect_error.h"
#include "vernier/groups.h"

namespace vernier {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pointwise;

/// 12 examples, half of them f; of 3 old ones two are f.
GroupedExamples people() {
  GroupedExamples examples{.name = "people", .count = 12, .classes = 2, .labels = {0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1}};
  examples.attributes = {
      {"sex", {"f", "f", "f", "f", "f", "f", "m", "m", "m", "m", "m", "m"}},
      {"age", {"old", "old", "", "young", "young", "young", "old", "young", "young", "young", "young", "young"}}};
  return examples;
}

Answers predicting(std::vector<int32_t> predicted, const std::vector<int32_t>& labels) {
  Answers answers{.model = "m", .predicted = std::move(predicted)};
  for (size_t i = 0; i < labels.size(); ++i) answers.correct.push_back(answers.predicted[i] == labels[i] ? 1 : 0);
  return answers;
}

const std::vector<int32_t> kReference{0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1};  // all right
const std::vector<int32_t> kModel{1, 1, 1, 1, 0, 1, 0, 1, 0, 1, 0, 1};      // two of f's class 0 are lost

TEST(AnalyseGroups, FiguresByHand) {
  const GroupedExamples examples = people();
  const GroupAnalysis analysis =
      analyse_groups(examples, predicting(kReference, examples.labels), predicting(kModel, examples.labels), {});
  ASSERT_EQ(analysis.attributes.size(), 2u);
  const AttributeResult& sex = analysis.attributes[0];
  ASSERT_EQ(sex.groups.size(), 2u);
  const GroupResult &f = sex.groups[0], &m = sex.groups[1];
  EXPECT_EQ(f.name, "f");
  EXPECT_EQ(f.examples, 6);
  EXPECT_NEAR(f.figures.at("accuracy").change.value, -1.0 / 3, 1e-12);
  EXPECT_NEAR(f.figures.at("accuracy").skew.value, -1.0 / 3, 1e-12);
  EXPECT_NEAR(m.figures.at("accuracy").skew.value, 1.0 / 3, 1e-12);
  EXPECT_NEAR(f.figures.at("recall").model, (1.0 / 3 + 1) / 2, 1e-12);
  EXPECT_NEAR(f.figures.at("flips").model, 1.0 / 3, 1e-12);
  EXPECT_EQ(f.figures.at("flips").reference, 0);
  EXPECT_NEAR(f.figures.at("spoiled").model, 1.0 / 3, 1e-12);
  EXPECT_EQ(f.figures.at("mended").model, 0);
  EXPECT_FALSE(f.figures.contains("loss_nats")) << "nobody gave losses";
  const GroupGap& gap = sex.gaps.at("accuracy");
  EXPECT_EQ(gap.reference, 0);
  EXPECT_NEAR(gap.model, 1.0 / 3, 1e-12);
  EXPECT_NEAR(gap.spread.value, 1.0 / 3, 1e-12);
  EXPECT_EQ(gap.most_damaged, "f");
  EXPECT_EQ(gap.worst, "f");
  EXPECT_NEAR(sex.parity.at("demographic_parity").model, 5.0 / 6 - 0.5, 1e-12);
  EXPECT_NEAR(sex.parity.at("equalized_odds").model, 2.0 / 3, 1e-12);
  EXPECT_EQ(sex.parity.at("equalized_odds").reference, 0);
  EXPECT_NEAR(analysis.all.figures.at("accuracy").change.value, -1.0 / 6, 1e-12);
  EXPECT_TRUE(std::isnan(analysis.all.figures.at("accuracy").skew.value)) << "there are no others";
  EXPECT_EQ(analysis.all.figures.at("accuracy").skew.verdict, Verdict::kUndecided);
}

TEST(AnalyseGroups, ClassesAsGroupsHaveOnlyTheRatesThatExist) {
  GroupedExamples examples = people();
  examples.attributes = {{"class", {}}};
  for (const int32_t label : examples.labels) examples.attributes[0].values.push_back(std::to_string(label));
  const GroupAnalysis analysis =
      analyse_groups(examples, predicting(kReference, examples.labels), predicting(kModel, examples.labels), {});
  // No group has both examples of a class and others: neither rate exists twice.
  EXPECT_TRUE(std::isnan(analysis.attributes[0].parity.at("equalized_odds").model));
  EXPECT_EQ(analysis.attributes[0].parity.at("equalized_odds").change.verdict, Verdict::kUndecided);
  EXPECT_NEAR(analysis.attributes[0].parity.at("demographic_parity").reference, 1, 1e-12);
  EXPECT_TRUE(std::isnan(analysis.attributes[0].parity.at("demographic_parity").null_p))
      << "exchanging groups would exchange classes";
}

TEST(AnalyseGroups, IntersectionsAndSmallGroups) {
  const GroupedExamples examples = people();
  const GroupAnalysis analysis =
      analyse_groups(examples, predicting(kReference, examples.labels), predicting(kModel, examples.labels),
                     {.bootstrap_draws = 50, .null_draws = 50, .intersections = 2});
  ASSERT_EQ(analysis.attributes.size(), 3u);
  const AttributeResult& both = analysis.attributes[2];
  EXPECT_EQ(both.name, "sex x age");
  std::vector<std::string> names;
  std::vector<int64_t> sizes;
  for (const GroupResult& group : both.groups) names.push_back(group.name), sizes.push_back(group.examples);
  EXPECT_THAT(names, ElementsAre("f x old", "f x young", "m x old", "m x young"));
  EXPECT_THAT(sizes, ElementsAre(2, 3, 1, 5)) << "who has no age is in no group of it";
  const GroupValue& single = both.groups[2].figures.at("accuracy");
  EXPECT_EQ(single.model, 1);
  EXPECT_EQ(single.change.interval.low, -INFINITY);
  EXPECT_EQ(single.change.verdict, Verdict::kUndecided);
  EXPECT_TRUE(both.gaps.empty()) << "only one group is large enough";
  EXPECT_THAT(analysis.warnings,
              ::testing::Contains(AllOf(HasSubstr("sex x age = \"m x old\""), HasSubstr("1 independent example:"))));
}

// Six examples that kept their answers do not prove that no seventh would change.
TEST(AnalyseGroups, NoChangeSeenIsNoProof) {
  const GroupedExamples examples = people();
  const GroupAnalysis analysis =
      analyse_groups(examples, predicting(kReference, examples.labels), predicting(kModel, examples.labels), {});
  const Judged& change = analysis.attributes[0].groups[1].figures.at("flips").change;
  EXPECT_EQ(change.value, 0);
  EXPECT_GT(change.interval.high, 0.4);
  EXPECT_EQ(change.verdict, Verdict::kUndecided);
}

// Nor do two groups that both kept theirs that they cannot differ.
TEST(AnalyseGroups, NoGapSeenIsNoProof) {
  const GroupedExamples examples = people();
  const Answers same = predicting(kReference, examples.labels);
  const AttributeResult sex = analyse_groups(examples, same, same, {}).attributes[0];
  const double unseen = 2 * (1 - std::pow(0.025, 1 / 12.0));  // in six and six examples
  EXPECT_EQ(sex.gaps.at("accuracy").spread.value, 0);
  EXPECT_NEAR(sex.gaps.at("accuracy").spread.interval.high, unseen, 1e-12);
  EXPECT_EQ(sex.gaps.at("accuracy").spread.verdict, Verdict::kUndecided);
  EXPECT_NEAR(sex.parity.at("demographic_parity").change.interval.high, unseen, 1e-12);
  EXPECT_EQ(sex.parity.at("demographic_parity").change.verdict, Verdict::kUndecided);
}

TEST(AnalyseGroups, WeightsAndClusters) {
  GroupedExamples examples{.name = "documents", .count = 12};
  Answers reference{.model = "r"}, model{.model = "m"};
  examples.attributes = {{"language", {}}};
  for (int i = 0; i < 12; ++i) {
    examples.attributes[0].values.emplace_back(i % 2 == 0 ? "de" : "en");
    examples.clusters.push_back(i / 2);
    examples.weights.push_back(i < 2 ? 10 : 1);
    reference.loss_nats.push_back(1);
    model.loss_nats.push_back(i < 2 ? 2 : 1);
  }
  const GroupAnalysis analysis = analyse_groups(examples, reference, model, {});
  const GroupResult& de = analysis.attributes[0].groups[0];
  EXPECT_EQ(de.clusters, 6);
  EXPECT_EQ(de.weight, 15);
  EXPECT_NEAR(de.figures.at("loss_nats").change.value, 10.0 / 15, 1e-12);
  // Both languages of a document are drawn together: their changes never differ.
  EXPECT_EQ(analysis.attributes[0].gaps.at("loss_nats").spread.interval.high, 0);
  EXPECT_EQ(de.figures.at("loss_nats").skew.verdict, Verdict::kWithin);
}

TEST(AnalyseGroups, SameSeedSameNumbers) {
  const GroupedExamples examples = people();
  const auto json = [&](uint64_t seed) {
    return group_analysis_to_json(
        analyse_groups(examples, predicting(kReference, examples.labels), predicting(kModel, examples.labels),
                       {.bootstrap_draws = 100, .null_draws = 100, .seed = seed}))["attributes"];
  };
  EXPECT_EQ(json(1), json(1));
  EXPECT_NE(json(1), json(2));
}

TEST(AnalyseGroups, WhatDoesNotFitIsRefused) {
  const Answers good = predicting(kReference, people().labels);
  const auto refused = [&](const std::vector<std::string>& parts, const GroupedExamples& examples, const Answers& model,
                           const GroupOptions& options = {}) {
    expect_error(ErrorKind::kInvalidArgument, parts, [&] { analyse_groups(examples, good, model, options); });
  };
  GroupedExamples examples = people();
  examples.attributes[1].values.pop_back();
  refused({"people", "age", "11 values", "12 examples"}, examples, good);
  examples = people();
  examples.attributes.clear();
  refused({"0 attributes"}, examples, good);
  examples = people();
  examples.labels[3] = 2;
  refused({"example 3", "label is 2", "0 to 1"}, examples, good);
  Answers model = good;
  model.predicted.pop_back();
  refused({"11 answers of m"}, people(), model);
  model = good;
  model.predicted[4] = -1;
  refused({"example 4", "-1"}, people(), model);
  model = good;
  model.correct[0] = NAN;
  refused({"m has a figure"}, people(), model);
  refused({"nothing", "0.1"}, people(), good, {.tolerance = {{"nothing", 0.1}}});
  refused({"flips", "-1"}, people(), good, {.tolerance = {{"flips", -1}}});
  refused({"confidence"}, people(), good, {.confidence = 1});
  refused({"no figure in common"}, people(), Answers{.model = "empty"});
  examples = people();
  examples.count = 1200, examples.labels.clear(), examples.attributes = {{"id", {}}};
  for (int i = 0; i < 1200; ++i) examples.attributes[0].values.push_back(std::to_string(i));
  Answers losses{.model = "l", .loss_nats = std::vector<double>(1200, 1.0)};
  expect_error(ErrorKind::kInvalidArgument, {"id", "1200 groups"},
               [&] { analyse_groups(examples, losses, losses, {.bootstrap_draws = 1, .null_draws = 1}); });
}

TEST(GroupFigures, KeysAreUnique) {
  std::set<std::string_view> keys;
  for (const GroupFigure& figure : group_figures()) EXPECT_TRUE(keys.insert(figure.key).second) << figure.key;
  EXPECT_TRUE(keys.contains("loss_nats"));
}

}  // namespace
}  // namespace vernier
