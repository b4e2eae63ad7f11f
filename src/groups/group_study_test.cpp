#include "vernier/group_study.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/json.h"
#include "support/expect_error.h"

namespace vernier {
namespace {

/// Six groups of ten examples; what a model loses grows with the group, and half of it is one of scale.
GroupedAnswers sample_answers() {
  GroupedAnswers answers;
  answers.unit = "token";
  answers.examples = {.name = "texts", .hash = "abc", .count = 60};
  answers.examples.attributes = {{"group", {}}, {"half", {}}};
  answers.models.resize(2);
  answers.rescaled.resize(2);
  for (int i = 0; i < 60; ++i) {
    const int group = i / 10;
    answers.examples.attributes[0].values.push_back(std::string(1, static_cast<char>('a' + group)));
    answers.examples.attributes[1].values.emplace_back(i % 2 == 0 ? "even" : "odd");
    answers.examples.weights.push_back(1 + i % 3);
    const double loss = 2 + 0.01 * ((7 * i) % 11);
    answers.reference.loss_nats.push_back(loss);
    for (size_t m = 0; m < 2; ++m) {
      const double excess = 0.05 * (group + 1) * static_cast<double>(m + 1) * (1 + 0.02 * (i % 4));
      answers.models[m].loss_nats.push_back(loss + excess);
      answers.rescaled[m].loss_nats.push_back(loss + excess / 2);
    }
  }
  answers.reference.model = "f32";
  answers.models[0].model = "int8";
  answers.models[1].model = "int4";
  return answers;
}

const GroupOptions kFast{.bootstrap_draws = 50, .null_draws = 50};

TEST(GroupStudy, AnEntryForEachModelAndUnitWithAChainForEachAttribute) {
  const GroupedAnswers token = sample_answers();
  GroupedAnswers document = token;
  document.unit = "document";
  const GroupStudy study = study_groups({token, document}, {"W8", "W4"}, kFast);
  ASSERT_EQ(study.entries.size(), 4u);
  EXPECT_EQ(study.entries[0].label, "W8");
  EXPECT_EQ(study.entries[1].unit, "document");
  EXPECT_EQ(study.entries[2].label, "W4");
  EXPECT_EQ(study.entries[2].analysis.model, "int4");
  ASSERT_EQ(study.entries[2].chains.size(), 2u);
  EXPECT_EQ(study.entries[2].chains[0].attribute, "group");
  EXPECT_EQ(study.entries[2].chains[0].records.size(), 6u);
}

TEST(GroupStudy, RescaledLossesAreWeightedMeansOfTheGroup) {
  const GroupedAnswers answers = sample_answers();
  GroupOptions options = kFast;
  options.intersections = 2;
  const GroupStudy study = study_groups({answers}, {"W8", "W4"}, options);
  for (size_t m = 0; m < 2; ++m)
    for (const AttributeChain& chain : study.entries[m].chains)
      for (const ChainRecord& record : chain.records)
        EXPECT_NEAR(record.rescaled_loss_change, record.loss_change / 2, 1e-12) << chain.attribute << record.group;
  EXPECT_EQ(study.entries[0].chains.back().attribute, "group x half");
  double sum = 0, weight = 0;  // by hand: group b, the second model
  for (size_t i = 10; i < 20; ++i) {
    weight += answers.examples.weights[i];
    sum += answers.examples.weights[i] * (answers.rescaled[1].loss_nats[i] - answers.reference.loss_nats[i]);
  }
  EXPECT_NEAR(study.entries[1].chains[0].records[1].rescaled_loss_change, sum / weight, 1e-12);
}

TEST(GroupStudy, RecordsCanBeCompletedBeforeTheyAreJudged) {
  const auto gradient_is_damage = [](size_t, const std::string&, const std::string& attribute,
                                     std::vector<ChainRecord>& records) {
    for (ChainRecord& record : records)
      if (attribute == "group") record.gradient_norm = 3 * record.loss_change;
  };
  const GroupStudy study = study_groups({sample_answers()}, {"W8", "W4"}, kFast, gradient_is_damage);
  const auto gradient = [&](size_t chain) {
    const std::vector<ChainStep>& steps = study.entries[0].chains[chain].report.steps;
    return *std::find_if(steps.begin(), steps.end(), [](const ChainStep& s) { return s.key == "gradient_foretells"; });
  };
  EXPECT_EQ(gradient(0).verdict, ClaimVerdict::kConfirmed) << gradient(0).correlation;
  EXPECT_EQ(gradient(1).groups, 0);
}

TEST(GroupStudy, TolerancesOfLossesFollowTheUnit) {
  GroupedAnswers answers = sample_answers();
  answers.tokens_per_unit = 50;
  EXPECT_DOUBLE_EQ(study_groups({answers}, {"a", "b"}, kFast).entries[0].analysis.options.tolerance.at("loss_nats"),
                   0.5);
  GroupOptions options = kFast;
  options.tolerance["loss_nats"] = 0.2;
  EXPECT_DOUBLE_EQ(study_groups({answers}, {"a", "b"}, options).entries[0].analysis.options.tolerance.at("loss_nats"),
                   10);
}

TEST(GroupStudy, AReferenceAloneHasFiguresAndNoChain) {
  GroupedAnswers answers = sample_answers();
  answers.models.clear();
  answers.rescaled.clear();
  const GroupStudy study = study_groups({answers}, {"f32"}, kFast);
  ASSERT_EQ(study.entries.size(), 1u);
  EXPECT_TRUE(study.entries[0].chains.empty());
  EXPECT_EQ(study.entries[0].analysis.all.figures.at("loss_nats").change.value, 0);
}

TEST(GroupStudy, LabelsAndModelsMustBeAsMany) {
  expect_error(ErrorKind::kInvalidArgument, {"texts", "1 labels for 2 models"},
               [] { study_groups({sample_answers()}, {"W8"}, kFast); });
}

TEST(GroupStudy, BothWaysThroughJson) {
  GroupStudy study = study_groups({sample_answers()}, {"W8", "W4"}, kFast);
  study.provenance["seed"] = 1;
  const Json json = group_study_to_json(study);
  const GroupStudy again = group_study_from_json(parse_json(json_text(json), "groups.json"), "groups.json");
  EXPECT_EQ(json_text(group_study_to_json(again)), json_text(json));
  const auto refused = [&](const char* pointer, const Json& value, const std::vector<std::string>& parts) {
    Json bad = json;
    bad[Json::json_pointer(pointer)] = value;
    expect_error(ErrorKind::kBadFile, parts, [&] { group_study_from_json(bad, "g.json"); });
  };
  refused("/kind", "groups", {"g.json", "vernier groups"});
  refused("/schema_version", 7, {"schema_version 7"});
  refused("/entries", 1, {"g.json.entries", "array"});
  refused("/entries/1/analysis/kind", "chain", {"g.json.entries[1].analysis"});
  refused("/entries/0/chains/0/chain/groups/2/examples", "x", {"chain.groups[2]", "examples"});
}

}  // namespace
}  // namespace vernier
