#include <gtest/gtest.h>

#include "base/json.h"
#include "support/expect_error.h"
#include "vernier/groups.h"

namespace vernier {
namespace {

GroupAnalysis sample_analysis() {
  GroupedExamples examples{.name = "e", .hash = "abc", .count = 14, .classes = 3};
  examples.attributes = {{"g", {}}, {"h", {}}};
  std::vector<float> before, after;
  for (int i = 0; i < 14; ++i) {
    examples.labels.push_back(i % 3);
    examples.attributes[0].values.emplace_back(i < 6 ? "a" : i == 13 ? "single" : "b");
    examples.attributes[1].values.emplace_back(i % 2 == 0 ? "x" : "y");
    for (int c = 0; c < 3; ++c) {
      before.push_back(static_cast<float>((i * 7 + c * 5) % 4));
      after.push_back(static_cast<float>((i * 7 + c * 5) % 4) + 0.5F * static_cast<float>((i + c) % 3));
    }
  }
  GroupOptions options{.bootstrap_draws = 40, .null_draws = 40, .seed = 9, .intersections = 2};
  options.tolerance["accuracy"] = 0.25;
  return analyse_groups(examples, answers_of_logits("f32", before, 3, examples.labels),
                        answers_of_logits("int4", after, 3, examples.labels), options);
}

TEST(GroupsJson, BothWays) {
  const Json json = group_analysis_to_json(sample_analysis());
  const GroupAnalysis again = group_analysis_from_json(parse_json(json_text(json), "groups.json"), "groups.json");
  EXPECT_EQ(json_text(group_analysis_to_json(again)), json_text(json));
  EXPECT_EQ(again.options.tolerance.at("accuracy"), 0.25);
  EXPECT_EQ(again.options.seed, 9u);
  EXPECT_FALSE(again.warnings.empty());
  EXPECT_EQ(json["figures"][0]["key"], "loss_nats") << "the file says what its keys are";
}

TEST(GroupsJson, DefectsAreNamed) {
  const Json good = group_analysis_to_json(sample_analysis());
  const auto refused = [&](const char* pointer, const Json& value, const std::vector<std::string>& parts) {
    Json bad = good;
    bad[Json::json_pointer(pointer)] = value;
    expect_error(ErrorKind::kBadFile, parts, [&] { group_analysis_from_json(bad, "g.json"); });
  };
  refused("/kind", "damage", {"g.json", "groups.json"});
  refused("/schema_version", 99, {"schema_version 99"});
  refused("/attributes", 1, {"g.json.attributes", "array"});
  refused("/attributes/0/groups/1/figures/accuracy/change/verdict", "maybe",
          {"g.json.attributes[0].groups[1].figures.accuracy.change", "maybe"});
  refused("/attributes/0/groups/0/figures/accuracy/skew/interval", Json::array({1}), {"skew.interval", "two numbers"});
  refused("/attributes/0/gaps/accuracy/model", "x", {"gaps.accuracy", "\"model\""});
  refused("/attributes/0/groups/0/examples", -1, {"\"examples\""});
  refused("/warnings", Json::array({1}), {"warnings[0]", "string"});
  refused("/options/tolerance/accuracy", "x", {"tolerance.accuracy"});
}

}  // namespace
}  // namespace vernier
