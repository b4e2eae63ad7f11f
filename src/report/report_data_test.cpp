#include "report/report_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "support/scratch.h"
#include "vernier/error.h"

namespace vernier {
namespace {

Json row(const char* label, const char* kind, double kl) {
  const Json group = {{"documents", 3}, {"tokens", 40}, {"text_bytes", 100}, {"kl_nats", kl / 2}};
  return {{"label", label},
          {"kind", kind},
          {"bytes", 1000},
          {"budget_fits", true},
          {"text", {{"perplexity", 17.0}, {"kl_nats", kl}, {"data_hash", "not for the page"}}},
          {"groups", {{"fi", group}}}};
}

Json metric(const char* key, const std::vector<std::string>& columns) {
  return {{"key", key},        {"title", std::string("title of ") + key},
          {"meaning", "m"},    {"unit", "nats"},
          {"per", "token"},    {"worse", "higher"},
          {"columns", columns}};
}

struct Artefacts {
  Json manifest = {
      {"model", {{"name", "demo"}}}, {"tool_version", "1"}, {"pid", 4711}, {"options", {{"budget", "+10%"}}}};
  Json evaluation = {
      {"budget_bytes", 1100},
      {"metrics", {metric("kl_nats", {"models", "groups"}), metric("perplexity", {"models"}), metric("nll_nats", {})}},
      {"rows", {row("worse", "uniform", 0.4), row("best", "uniform", 0.1), row("mine", "plan", 0.05)}}};
  Json diagnosis = {
      {"scheme", "gguf:q4_k"},
      {"weight_facts", {{{"tensor", "L0.attn_q"}, {"sqnr_db", 20.5}, {"rows", 8}, {"error_power", {1, 2}}}}}};
  Json plan = {
      {"label", "mine"},
      {"budget", {{"text", "+10%"}, {"bytes", 1100}}},
      {"predicted_kl_nats", 0.05},
      {"lower_bound_kl_nats", 0.04},
      {"tensors", {{{"tensor", "blk.0.attn_q.weight"}, {"rows", 8}, {"cols", 4}, {"bytes", 18}, {"kl_nats", 0.01}}}}};

  Json data() const { return report_data({manifest, evaluation, diagnosis, plan}); }
};

TEST(ReportData, ShowsGroupsAndTheObjectiveWhereTheyAreKnown) {
  const Json without = Artefacts().data();
  EXPECT_FALSE(without["diagnosis"].contains("groups"));
  EXPECT_FALSE(without["plan"].contains("objective"));
  Artefacts with;
  with.diagnosis["groups"] = {{{"name", "fi"}, {"windows", 2}, {"tokens", 40}}};
  with.diagnosis["group_profiles"] = {{"p", 0.5}};
  with.plan["objective"] = {{"name", "worst-group"}};
  EXPECT_EQ(with.data()["diagnosis"]["groups"], with.diagnosis["groups"]);
  EXPECT_EQ(with.data()["diagnosis"]["group_profiles"]["p"], 0.5);
  EXPECT_EQ(with.data()["plan"]["objective"]["name"], "worst-group");
}

TEST(ReportData, WhatLiesBesideARunIsShownOnlyOfItsModel) {
  const std::filesystem::path folder = scratch_path("report_parts");
  std::filesystem::create_directories(folder);
  Artefacts run;
  run.manifest["model"]["hash"] = "aa";
  const std::pair<const char*, Json> of_the_run[] = {
      {"evaluation.json", run.evaluation}, {"diagnosis.json", run.diagnosis}, {"plan.json", run.plan}};
  for (const auto& [name, json] : of_the_run) write_json(folder / name, json);
  write_json(folder / "protection.json", {{"model_hash", "bb"}});
  write_json(folder / "groups.json", {{"provenance", {{"model", {{"hash", "bb"}}}}}});
  write_json(folder / "activations.json", {{"model", {{"hash", "aa"}}}});
  write_json(folder / "reliability.json", {{"models", {"original"}}});  // of before files said so
  const ReportParts parts = report_parts(run.manifest, folder);
  EXPECT_EQ(parts.left_out, (Json{"groups.json", "protection.json"}));
  EXPECT_TRUE(parts.groups.is_null() && parts.protection.is_null() && parts.finetune.is_null());
  EXPECT_EQ(parts.activations["model"]["hash"], "aa");
  EXPECT_EQ(parts.reliability["models"][0], "original");
  std::filesystem::remove_all(folder);
  EXPECT_FALSE(run.data().contains("left_out"));
}

TEST(ReportData, SaysWhatTheArtefactsSay) {
  const Json data = Artefacts().data();
  EXPECT_EQ(data["title"], "demo");
  EXPECT_EQ(data["results"]["rows"].size(), 3u);
  EXPECT_EQ(data["results"]["rows"][2]["kl_nats"], 0.05);
  EXPECT_EQ(data["results"]["rows"][2]["perplexity"], 17.0);
  EXPECT_EQ(data["plan"]["budget_text"], "+10%");
  EXPECT_EQ(data["plan"]["label"], "mine");
  EXPECT_EQ(data["plan"]["file_bytes"], 1000);
  EXPECT_NEAR(data["plan"]["gap"].get<double>(), 0.2, 1e-12);
  EXPECT_EQ(data["plan"]["entries"][0]["bits_per_weight"], 8.0 * 18 / 32);
  EXPECT_EQ(data["plan"]["entries"][0]["predicted_kl_nats"], 0.01);
  EXPECT_EQ(data["diagnosis"]["weight_facts"][0]["sqnr_db"], 20.5);
}

TEST(ReportData, WhatASearchLeavesIsShownOfThePlansOwn) {
  Artefacts a;
  const Json damage = {{"method", "auto"}, {"matrices", {{{"tensor", "blk.0.attn_q.weight"}, {"left", 0.25}}}}};
  const auto plan = [&](const Json& of) {
    ReportParts parts{a.manifest, a.evaluation, a.diagnosis, a.plan};
    parts.damage = of;
    return report_data(parts)["plan"];
  };
  EXPECT_EQ(plan(damage)["method"], "auto");
  EXPECT_EQ(plan(damage)["entries"][0]["left"], 0.25);
  a.plan["label"] = "best";  // a uniform file that measured better: it was chosen without that
  EXPECT_FALSE(plan(damage)["entries"][0].contains("left"));
  EXPECT_FALSE(plan(damage).contains("method"));
  EXPECT_FALSE(plan(Json())["entries"][0].contains("left"));
}

TEST(ReportData, ColumnsAreWhatTheEvaluationDescribes) {
  Artefacts a;
  a.evaluation["metrics"].push_back(metric("new_share", {"groups"}));
  a.evaluation["rows"][2]["groups"]["fi"].update({{"new_share", 0.5}, {"new_share_stderr", 0.25}});
  const Json data = a.data();
  const auto keys_of = [](const Json& columns) {
    std::vector<std::string> keys;
    for (const Json& column : columns) keys.push_back(column["key"]);
    return keys;
  };
  EXPECT_THAT(keys_of(data["results"]["metrics"]), ::testing::ElementsAre("kl_nats", "perplexity"));
  EXPECT_THAT(keys_of(data["groups"]["metrics"]), ::testing::ElementsAre("kl_nats", "new_share"));
  EXPECT_EQ(data["results"]["metrics"][0]["title"], "title of kl_nats");
  EXPECT_FALSE(data["results"]["rows"][2].contains("nll_nats")) << "no column";
  EXPECT_EQ(data["groups"]["rows"][1]["new_share"], 0.5);
  EXPECT_EQ(data["groups"]["rows"][1]["new_share_stderr"], 0.25);
  EXPECT_TRUE(data["groups"]["rows"][0]["new_share"].is_null()) << "not measured";
}

TEST(ReportData, AUniformFileThatMeasuredBetterIsWhatThePlanSectionShows) {
  Artefacts a;
  a.plan["label"] = "best";
  a.plan["budget"]["text"] = "";
  a.plan["lower_bound_kl_nats"] = 0;
  const Json plan = a.data()["plan"];
  EXPECT_EQ(plan["label"], "best");
  EXPECT_EQ(plan["budget_text"], "+10%");
  EXPECT_TRUE(plan["lower_bound_kl_nats"].is_null()) << "nothing was solved, so nothing was proven";
  EXPECT_TRUE(plan["gap"].is_null());
}

TEST(ReportData, ComparesThePlanWithTheBestUniformFileOnly) {
  Artefacts a;
  Json groups = a.data()["groups"]["rows"];
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[0]["plan"], "best");
  EXPECT_EQ(groups[1]["plan"], "mine");
  EXPECT_EQ(groups[1]["kl_nats"], 0.025);
  for (Json& r : a.evaluation["rows"]) r["groups"] = nullptr;
  EXPECT_TRUE(a.data()["groups"].is_null());
}

TEST(ReportData, WhatThePlannerKeepsForItselfStaysOutOfThePage) {
  const std::string data = Artefacts().data().dump();
  for (const char* key : {"error_power", "data_hash", "pid"})
    EXPECT_THAT(data, ::testing::Not(::testing::HasSubstr(key)));
}

TEST(ReportData, TheLimitIsPartOfIt) {
  Artefacts a;
  EXPECT_TRUE(a.data()["limit"].is_null());
  const Json limit = {{"schema_version", 1},
                      {"rows", {{{"label", "mine"}, {"limit_kl_nats", 0.01}, {"ratio", 5.0}}}},
                      {"curve", {{{"bytes", 1000}, {"kl_nats", 0.01}}}}};
  const Json data = report_data({a.manifest, a.evaluation, a.diagnosis, a.plan, {}, {}, limit})["limit"];
  EXPECT_EQ(data["curve"], limit["curve"]);
  EXPECT_EQ(data["rows"], limit["rows"]);
}

TEST(ReportData, ASecondRoundIsPartOfItWithoutWhatThePlannerKeeps) {
  Artefacts a;
  EXPECT_FALSE(a.data().contains("refinement"));
  ReportParts parts{a.manifest, a.evaluation, a.diagnosis, a.plan};
  parts.refinement = {{"kept", true}, {"exchanges", Json::array()}, {"damage", {{"kl", 1}}}};
  const Json data = report_data(parts)["refinement"];
  EXPECT_EQ(data["kept"], true);
  EXPECT_FALSE(data.contains("damage"));
}

TEST(ReportData, WhatNatsArePerIsSaidWhereItIsNoToken) {
  Artefacts a;
  EXPECT_FALSE(a.data()["diagnosis"].contains("unit"));
  a.diagnosis["unit"] = "image";
  EXPECT_EQ(a.data()["diagnosis"]["unit"], "image");
}

TEST(ReportData, AMissingPartIsNamed) {
  const auto expect_missing = [](const Artefacts& a, const std::string& part) {
    try {
      a.data();
      ADD_FAILURE() << "accepted without " << part;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kBadFile);
      EXPECT_THAT(e.what(), ::testing::HasSubstr(part));
    }
  };
  Artefacts a;
  a.evaluation["rows"][1].erase("label");
  expect_missing(a, "label");
  a = {};
  a.evaluation["rows"][0].erase("text");
  expect_missing(a, "text");
  a = {};
  a.evaluation.erase("metrics");
  expect_missing(a, "metrics");
  a = {};
  a.plan.erase("tensors");
  expect_missing(a, "tensors");
  a = {};
  a.plan["tensors"][0].erase("rows");
  expect_missing(a, "rows");
  a = {};
  a.manifest.erase("model");
  expect_missing(a, "model");
}

TEST(ReportData, ReliabilityAloneAndBesideARun) {
  const Json reliability = {{"data", {{"name", "images"}}},
                            {"models", {"f32", "int4"}},
                            {"dimensions", Json::array()},
                            {"tool_version", "1"}};
  const Json alone = report_data_of_reliability(reliability);
  EXPECT_EQ(alone["title"], "Reliability: images");
  EXPECT_EQ(alone["provenance"]["model"]["name"], "f32");
  EXPECT_EQ(alone["reliability"], reliability);
  EXPECT_TRUE(alone["results"].is_null());
  Artefacts a;
  EXPECT_TRUE(a.data()["reliability"].is_null());
  EXPECT_THROW(report_data_of_reliability({{"models", {"f32"}}}), Error);
}

}  // namespace
}  // namespace vernier
