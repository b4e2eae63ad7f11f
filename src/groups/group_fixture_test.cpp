// Figures of groups against scikit-learn and fairlearn (tests/fixtures/groups/PROVENANCE.md).

#include <gtest/gtest.h>

#include "base/json.h"
#include "vernier/groups.h"

namespace vernier {
namespace {

class GroupFixture : public ::testing::Test {
 protected:
  const Json json_ = read_json(std::filesystem::path(VERNIER_SOURCE_DIR) / "tests/fixtures/groups/classifier.json");

  Answers answers(const char* model) const {
    std::vector<float> logits;
    for (const Json& row : json_["logits"][model])
      for (const Json& logit : row) logits.push_back(logit.get<float>());
    return answers_of_logits(model, logits, 4, json_["labels"].get<std::vector<int32_t>>());
  }
  GroupedExamples examples(bool weighted) const {
    GroupedExamples examples;
    examples.labels = json_["labels"].get<std::vector<int32_t>>();
    examples.count = static_cast<int64_t>(examples.labels.size());
    examples.classes = 4;
    if (weighted) examples.weights = json_["weights"].get<std::vector<double>>();
    for (const char* name : {"age", "sex"})
      examples.attributes.push_back({name, json_[name].get<std::vector<std::string>>()});
    return examples;
  }
};

// Both are float64 on the same numbers: only the order of sums differs.
constexpr double kRounding = 1e-9;

TEST_F(GroupFixture, AgreesWithScikitLearnAndFairlearn) {
  const GroupOptions options{.bootstrap_draws = 1, .null_draws = 1, .intersections = 2};
  for (const bool weighted : {false, true}) {
    const GroupAnalysis analysis =
        analyse_groups(examples(weighted), answers("reference"), answers("quantized"), options);
    ASSERT_EQ(analysis.attributes.size(), 3u);
    for (const AttributeResult& attribute : analysis.attributes) {
      const std::string key = attribute.name + (weighted ? ", weighted" : ", plain");
      const Json &reference = json_["expected"]["reference"][key], &model = json_["expected"]["quantized"][key];
      ASSERT_EQ(attribute.groups.size(), reference["groups"].size()) << key;
      for (const GroupResult& group : attribute.groups)
        for (const auto& [figure, expected] : model["groups"][group.name].items()) {
          const GroupValue& value = group.figures.at(figure);
          const auto before = reference["groups"][group.name][figure].get<double>();
          EXPECT_NEAR(value.reference, before, kRounding) << key << " " << group.name << " " << figure;
          EXPECT_NEAR(value.model, expected.get<double>(), kRounding) << key << " " << group.name << " " << figure;
          EXPECT_NEAR(value.change.value, expected.get<double>() - before, kRounding);
        }
      for (const auto& [figure, expected] : model["gaps"].items()) {
        EXPECT_NEAR(attribute.gaps.at(figure).model, expected.get<double>(), kRounding) << key << " " << figure;
        EXPECT_NEAR(attribute.gaps.at(figure).reference, reference["gaps"][figure].get<double>(), kRounding);
      }
      for (const auto& [figure, expected] : model["parity"].items()) {
        const ParityGap& gap = attribute.parity.at(figure);
        EXPECT_NEAR(gap.model, expected.get<double>(), kRounding) << key << " " << figure;
        EXPECT_NEAR(gap.reference, reference["parity"][figure].get<double>(), kRounding) << key << " " << figure;
      }
    }
  }
}

// The fixture's older examples were given three times the noise.
TEST_F(GroupFixture, FindsTheGroupThatWasHurt) {
  const GroupAnalysis analysis = analyse_groups(examples(false), answers("reference"), answers("quantized"), {});
  const AttributeResult& age = analysis.attributes[0];
  EXPECT_EQ(age.gaps.at("loss_nats").most_damaged, "old");
  EXPECT_EQ(age.gaps.at("flips").most_damaged, "old");
  EXPECT_LE(age.gaps.at("flips").null_p, 0.05);
  // 2.39 standard errors of 36 and 73 examples: three pairs of groups at once take 2.46.
  EXPECT_EQ(age.gaps.at("flips").spread.verdict, Verdict::kUndecided);
  EXPECT_EQ(age.groups[1].name, "old");
  EXPECT_LE(age.groups[1].figures.at("flips").null_p, 0.02);
  EXPECT_GT(age.groups[1].figures.at("flips").skew.value, 0.1);
}

}  // namespace
}  // namespace vernier
