#include "report/finetune_data.h"

#include <gtest/gtest.h>

#include "vernier/error.h"

namespace vernier {
namespace {

Json losses(double kl, double nll, double scored, double bytes) {
  Json loss = {{"examples", 4},   {"scored", scored},        {"kl_nats", kl},     {"kl_nats_stderr", 0.01},
               {"nll_nats", nll}, {"nll_nats_stderr", 0.02}, {"right_share", 0.5}};
  if (bytes > 0) loss["bytes"] = bytes;
  return loss;
}

Json evaluation(double kl) {
  return {{"all", losses(kl, 2, 100, 400)},
          {"groups", {{"de", losses(2 * kl, 3, 40, 120)}, {"fi", losses(3 * kl, 4, 60, 280)}}}};
}

Json tuned() {
  const Json point = {{"step", 0}, {"learning_rate", 0}, {"training_loss", nullptr}, {"validation", evaluation(0.5)}};
  const Json change = {{"kl_nats", {{"value", -0.1}, {"low", -0.2}, {"high", 0.0}}}};
  return {{"tool_version", "1"},
          {"model", "demo"},
          {"plan", "uniform"},
          {"file_bytes", 10},
          {"data", {{"name", "train"}}},
          {"measured_on", {{"name", "held out"}, {"held_out", true}}},
          {"options", {{"steps", 1}}},
          {"trained", {{"best_step", 0}, {"stopped", "steps"}, {"points", {point}}}},
          {"models", {{"full precision", evaluation(0)}, {"before", evaluation(0.5)}, {"after", evaluation(0.25)}}},
          {"changes", {{"all", change}, {"groups", {{"de", change}}}}}};
}

TEST(FinetuneData, HoldsCurvesAndGroupsPerByte) {
  const Json data = finetune_data(tuned());
  EXPECT_TRUE(data["results"].is_null());
  EXPECT_EQ(data["provenance"]["model"]["name"], "demo");
  const Json& section = data["finetune"];
  EXPECT_EQ(section["curves"].size(), 1U);
  EXPECT_TRUE(section["curves"][0]["objective"].is_null()) << "of a version that did not say";
  EXPECT_EQ(section["curves"][0]["points"][0]["worst_group"], "fi");
  EXPECT_EQ(section["curves"][0]["points"][0]["worst_kl_nats"], 1.5);
  EXPECT_EQ(section["models"], (Json{"full precision", "before", "after"}));
  EXPECT_EQ(section["groups"][0]["name"], "de");
  EXPECT_DOUBLE_EQ(section["groups"][0]["models"][2]["loss_nats"].get<double>(), 3.0 * 40 / 120);
  EXPECT_EQ(section["groups"][0]["change"]["kl_nats"]["low"], -0.2);
  EXPECT_TRUE(section["groups"][1]["change"].is_null());
  EXPECT_EQ(section["loss_per_byte"], true);
}

TEST(FinetuneData, NamesWhatIsMissing) {
  for (const char* key : {"models", "trained", "plan"}) {
    Json broken = tuned();
    broken.erase(key);
    if (std::string(key) == "trained") {
      EXPECT_EQ(finetune_data(broken)["finetune"]["curves"].size(), 0U);
    } else {
      EXPECT_THROW(finetune_data(broken), Error) << key;
    }
  }
}

}  // namespace
}  // namespace vernier
