#include "report/activations_data.h"

#include <gtest/gtest.h>

#include "support/expect_error.h"

namespace vernier {
namespace {

Json sample_activations() {
  return {{"kind", "activation_study"},
          {"tool_version", "1"},
          {"model", {{"name", "demo"}, {"hash", "h"}}},
          {"data", {{"name", "b.txt"}, {"hash", "d"}}},
          {"windows", 4},
          {"facts",
           {{"data", {{"name", "a.txt"}, {"hash", "c"}}},
            {"windows", 8},
            {"tokens", 4096},
            {"sites", {{"L0.attn_input", {{"abs_max", 3.0}}}}},
            {"outlier_features", Json::array()},
            {"first_token_share", Json::array()}}},
          {"grids", Json::array({{{"grid", "int8:token"}}})},
          {"caches", Json::array()}};
}

TEST(ActivationsData, HoldsWhatThePageShows) {
  const Json data = activations_page(sample_activations());
  EXPECT_EQ(data["title"], "Activations of demo");
  EXPECT_EQ(data["provenance"]["options"]["calibration_windows"], 8);
  EXPECT_TRUE(data["plan"].is_null());
  EXPECT_EQ(data["activations"]["facts"]["sites"]["L0.attn_input"]["abs_max"], 3.0);
  EXPECT_EQ(data["activations"]["grids"][0]["grid"], "int8:token");
  EXPECT_EQ(data["activations"]["inputs"], "window") << "of a file of before models that see";
  Json of_images = sample_activations();
  of_images["inputs"] = "image";
  EXPECT_EQ(activations_page(of_images)["provenance"]["options"]["images"], 4);
}

TEST(ActivationsData, WhatIsMissingIsNamed) {
  for (const char* key : {"facts", "grids", "windows"}) {
    Json study = sample_activations();
    study.erase(key);
    expect_error(ErrorKind::kBadFile, {"activations.json", key, "vernier activations"},
                 [&] { activations_page(study); });
  }
  Json study = sample_activations();
  study["facts"].erase("sites");
  expect_error(ErrorKind::kBadFile, {"activations.json", "sites"}, [&] { activations_page(study); });
  study["kind"] = "group_study";
  expect_error(ErrorKind::kBadFile, {"activations.json", "vernier activations"}, [&] { activations_page(study); });
}

}  // namespace
}  // namespace vernier
