#include "report/who_pays_data.h"

#include <gtest/gtest.h>

#include "support/expect_error.h"

namespace vernier {
namespace {

Json sample_study_json() {
  const Json figure = {{"reference", 2.0}, {"model", 2.5}};
  const Json group = {{"name", "fi"},
                      {"examples", 9},
                      {"clusters", 9},
                      {"weight", 90.0},
                      {"figures", {{"loss_nats", figure}, {"margin", figure}}}};
  const Json analysis = {
      {"data", {{"name", "g.jsonl"}, {"examples", 9}}},
      {"reference", "demo"},
      {"options", {{"confidence", 0.95}, {"tolerance", {{"loss_nats", 0.01}}}, {"min_clusters", 5}, {"seed", 1}}},
      {"figures", {{{"key", "loss_nats"}, {"name", "loss"}}, {{"key", "margin"}, {"name", "margin"}}}},
      {"all", group},
      {"attributes",
       {{{"name", "group"}, {"groups", Json::array({group})}, {"gaps", {{"loss_nats", {{"model", 1}}}}}}}}};
  return {
      {"tool_version", "1"},
      {"provenance", {{"model", {{"name", "demo"}}}, {"seed", 3}, {"data", {"g.jsonl"}}}},
      {"entries", {{{"label", "int4:channel"}, {"unit", "token"}, {"analysis", analysis}, {"chains", Json::array()}}}}};
}

TEST(WhoPaysData, HoldsWhatThePageShows) {
  const Json data = who_pays_data(sample_study_json());
  EXPECT_EQ(data["title"], "Who pays for quantizing demo");
  EXPECT_EQ(data["provenance"]["seed"], 3);
  EXPECT_TRUE(data["plan"].is_null());
  const Json& entry = data["who_pays"]["entries"][0];
  EXPECT_EQ(entry["label"], "int4:channel");
  EXPECT_EQ(entry["confidence"], 0.95);
  EXPECT_EQ(entry["figures"].size(), 1u);
  const Json& group = entry["attributes"][0]["groups"][0];
  EXPECT_EQ(group["figures"]["loss_nats"]["model"], 2.5);
  EXPECT_FALSE(group["figures"].contains("margin")) << "not shown";
  EXPECT_EQ(entry["attributes"][0]["gaps"]["loss_nats"]["model"], 1);
}

TEST(WhoPaysData, WhatIsMissingIsNamed) {
  for (const char* key : {"entries", "provenance", "tool_version"}) {
    Json broken = sample_study_json();
    broken.erase(key);
    expect_error(ErrorKind::kBadFile, {"groups.json", key}, [&] { who_pays_data(broken); });
  }
  Json broken = sample_study_json();
  broken["entries"][0]["analysis"].erase("attributes");
  expect_error(ErrorKind::kBadFile, {"groups.json", "attributes"}, [&] { who_pays_data(broken); });
}

}  // namespace
}  // namespace vernier
