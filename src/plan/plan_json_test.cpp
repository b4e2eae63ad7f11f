#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "base/json.h"
#include "support/expect_error.h"
#include "support/sample_plan.h"
#include "vernier/error.h"

namespace vernier {
namespace {

TEST(PlanJson, RoundTripsThroughText) {
  const Plan plan = sample_plan();
  const std::string text = plan_to_json(plan).dump(2);
  const Plan back = plan_from_json(parse_json(text, "plan.json"), "plan.json");
  EXPECT_EQ(plan_to_json(back).dump(2), text);
  EXPECT_EQ(back.entries.size(), plan.entries.size());
  EXPECT_EQ(back.budget_bytes, plan.budget_bytes);
  EXPECT_EQ(back.entries[0].damage, plan.entries[0].damage) << "doubles survive exactly";
  EXPECT_EQ(back.provenance, plan.provenance);
}

TEST(PlanJson, WhatWasNotMeasuredIsNull) {
  Plan plan = sample_plan();
  plan.predicted_kl_nats = plan.lower_bound_kl_nats = plan.entries[0].damage = std::numeric_limits<double>::quiet_NaN();
  const Json json = plan_to_json(plan);
  EXPECT_TRUE(json["predicted_kl_nats"].is_null() && json["lower_bound_kl_nats"].is_null());
  EXPECT_TRUE(json["tensors"][0]["kl_nats"].is_null());
  const Plan back = plan_from_json(parse_json(json.dump(), "plan.json"), "plan.json");
  EXPECT_TRUE(std::isnan(back.predicted_kl_nats) && std::isnan(back.entries[0].damage));
  EXPECT_THAT(recipe_text(back),
              ::testing::AllOf(::testing::HasSubstr("not foretold"), ::testing::Not(::testing::HasSubstr("nan"))));
}

/// With an objective over two groups.
Plan plan_for_groups() {
  Plan plan = sample_plan();
  plan.objective = PlannedObjective{"worst-group", 0.02, 0.0199, {{"de", 0.7, 0.02, 0.018}, {"fr", 0.3, 0.019, 0.01}}};
  return plan;
}

TEST(PlanJson, KeepsTheObjective) {
  EXPECT_FALSE(plan_to_json(sample_plan()).contains("objective"));
  const Json json = plan_to_json(plan_for_groups());
  EXPECT_EQ(json["objective"]["groups"][1]["least_kl_nats"], 0.01);
  EXPECT_EQ(plan_to_json(plan_from_json(parse_json(json.dump(), "plan.json"), "plan.json")), json);
}

struct PlanDefect {
  const char* name;
  std::function<void(Json&)> apply;
  const char* message;
};

TEST(PlanJson, EveryDefectIsABadFileThatNamesItsPlace) {
  const std::vector<PlanDefect> defects = {
      {"array", [](Json& j) { j = Json::array(); }, "expected an object"},
      {"another artefact", [](Json& j) { j["kind"] = "diagnosis"; }, "another stage"},
      {"newer", [](Json& j) { j["schema_version"] = 3; }, "newer"},
      {"older", [](Json& j) { j["schema_version"] = 1; }, "older"},
      {"version text", [](Json& j) { j["schema_version"] = "1"; }, "schema_version"},
      {"no target", [](Json& j) { j.erase("target"); }, "target"},
      {"no method", [](Json& j) { j.erase("method"); }, "method"},
      {"budget number", [](Json& j) { j["budget"] = 5; }, "budget"},
      {"negative budget", [](Json& j) { j["budget"]["bytes"] = -1; }, "bytes"},
      {"fraction of a byte", [](Json& j) { j["budget"]["bytes"] = 1.5; }, "bytes"},
      {"negative damage", [](Json& j) { j["predicted_kl_nats"] = -0.1; }, "predicted_kl_nats"},
      {"no bound", [](Json& j) { j.erase("lower_bound_kl_nats"); }, "lower_bound_kl_nats"},
      {"bound in words", [](Json& j) { j["lower_bound_kl_nats"] = "0.1"; }, "lower_bound_kl_nats"},
      {"infinite price", [](Json& j) { j["price_nats_per_byte"] = std::numeric_limits<double>::infinity(); }, "price"},
      {"tensors object", [](Json& j) { j["tensors"] = Json::object(); }, "tensors"},
      {"entry number", [](Json& j) { j["tensors"][1] = 7; }, "tensors[1]"},
      {"entry without scheme", [](Json& j) { j["tensors"][1].erase("scheme"); }, "scheme"},
      {"empty scheme", [](Json& j) { j["tensors"][1]["scheme"] = ""; }, "scheme"},
      {"newline in a name", [](Json& j) { j["tensors"][0]["tensor"] = "a\nb = f16"; }, "control character"},
      {"newline in a reason", [](Json& j) { j["tensors"][0]["reason"] = "a\nb = f16"; }, "control character"},
      {"endless reason", [](Json& j) { j["tensors"][0]["reason"] = std::string(100000, 'x'); }, "100000 bytes"},
      {"same name twice", [](Json& j) { j["tensors"][1]["tensor"] = j["tensors"][0]["tensor"]; }, "listed twice"},
      {"bytes beyond 2^53", [](Json& j) { j["tensors"][0]["bytes"] = std::numeric_limits<uint64_t>::max(); }, "bytes"},
      {"bytes of another scheme", [](Json& j) { j["tensors"][0]["bytes"] = 1; }, "takes"},
      {"unknown scheme", [](Json& j) { j["tensors"][1]["scheme"] = "gguf:q9_z"; }, "blk.0.attn_q.weight"},
      {"sum", [](Json& j) { j["tensor_bytes"] = 1; }, "add up"},
      {"layer", [](Json& j) { j["tensors"][0]["layer"] = -2; }, "layer"},
      {"objective text", [](Json& j) { j["objective"] = "mean"; }, "objective"},
      {"groups number", [](Json& j) { j["objective"]["groups"] = 2; }, "groups"},
      {"group without a name", [](Json& j) { j["objective"]["groups"][0]["group"] = ""; }, "group"},
      {"negative weight", [](Json& j) { j["objective"]["groups"][1]["weight"] = -1; }, "weight"},
      {"provenance text", [](Json& j) { j["provenance"] = "me"; }, "provenance"},
  };
  for (const PlanDefect& defect : defects) {
    Json json = plan_to_json(plan_for_groups());
    defect.apply(json);
    try {
      plan_from_json(json, "plan.json");
      ADD_FAILURE() << "accepted: " << defect.name;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kBadFile) << defect.name;
      EXPECT_THAT(e.what(), testing::HasSubstr("plan.json")) << defect.name;
      EXPECT_THAT(e.what(), testing::HasSubstr(defect.message)) << defect.name;
    }
  }
}

TEST(ExplainChoice, NamesTheStepAndThePrice) {
  const PlanItem item{"blk.0.ffn_down.weight",
                      {{"gguf:q4_k", 81920, 0.0056},
                       {"gguf:q5_k", 106496, 0.0030},
                       {"gguf:q6_k", 131072, 0.0009},
                       {"f16", 524288, 0.0}}};
  EXPECT_EQ(explain_choice(item, 2, 5.1e-8),
            "q6_k: one step up from q5_k saves 0.0021 nats for 24,576 bytes (8.5e-08 per byte); the budget's price is "
            "5.1e-08");
  EXPECT_EQ(explain_choice(item, 0, 2e-7),
            "stays at q4_k: q5_k would save only 0.0026 nats for 24,576 bytes (1.1e-07 per byte); the budget's price "
            "is 2e-07");
  EXPECT_THAT(explain_choice(item, 0, 1e-9), testing::HasSubstr("do more for other tensors"));
  EXPECT_THAT(explain_choice(item, 3, 1e-8), testing::HasSubstr("left over"));
  EXPECT_THAT(explain_choice(item, 3, 0), testing::HasSubstr("the budget has room"));
  EXPECT_THAT(explain_choice({"norm", {{"f32", 4, 0}}}, 0, 0), testing::HasSubstr("the only scheme"));
  EXPECT_THAT(explain_choice({"t", {{"a", 4, 1}, {"b", 8, 1}}}, 0, 1), testing::HasSubstr("no larger candidate"));
  expect_error(ErrorKind::kInvalidArgument, {"blk.0.ffn_down.weight: choice 4 of 4 candidates"},
               [&] { explain_choice(item, 4, 0); });
}

TEST(ExplainSolution, GroupsAreExplainedByTheirSums) {
  KnapsackProblem problem;
  problem.items = {{"a", {{"s", 10, 1}, {"l", 20, 0.5}}},
                   {"b", {{"l", 20, 0.25}, {"s", 10, 2}}},
                   {"c", {{"s", 10, 1}, {"l", 20, 0.9}}}};
  problem.tied = {{0, 1}};
  problem.budget_bytes = 55;
  const std::vector<std::string> reasons = explain_solution(problem, solve_knapsack(problem));
  ASSERT_EQ(reasons.size(), 3u);
  EXPECT_EQ(reasons[0], reasons[1]);
  EXPECT_THAT(reasons[0], testing::HasSubstr("saves 2.2 nats for 20 bytes"));
  EXPECT_THAT(reasons[0], testing::HasSubstr("all 2 that must be alike"));
  EXPECT_THAT(reasons[2], testing::HasSubstr("stays at s"));
}

}  // namespace
}  // namespace vernier
