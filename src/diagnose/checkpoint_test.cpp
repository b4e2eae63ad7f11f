#include "diagnose/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "base/json.h"
#include "base/output_file.h"
#include "diagnose/diagnosis_json.h"
#include "support/scratch.h"
#include "support/warnings.h"

namespace vernier {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Checkpoint : public ::testing::Test {
 protected:
  void SetUp() override { checkpoint("key").save(task_, part()); }
  void TearDown() override { fs::remove_all(folder_); }

  DiagnosisPart part() const {
    DiagnosisPart part;
    part.control_kl = 0.25;
    for (const Component& c : task_.components)
      part.components.push_back({c, 64, {0.5, 0.125}, {-0.5, NAN}, {0.75, 0.0625}});
    WeightFacts& facts = part.weight_facts.emplace_back();
    facts.tensor = task_.matrices[0];
    facts.rows = 8;
    facts.cols = 4;
    facts.scheme = "int4";
    facts.sqnr_db = INFINITY;
    facts.error_power = {{"int4", 0.1}, {"int8", 0.001}};
    return part;
  }
  SweepCheckpoint checkpoint(const std::string& key) { return {folder_, key, &warnings_}; }
  std::optional<DiagnosisPart> load() { return checkpoint("key").load(task_); }

  const fs::path folder_ = scratch_path("vernier_checkpoint");
  const fs::path file_ = folder_ / "L1.json";
  const DiagnosisTask task_{
      "L1", 1, {parse_component("L1.head0"), parse_component("L1.ffn_down")}, {{TensorRole::kFfnDown, 1}}};
  Warnings warnings_;
};

TEST_F(Checkpoint, GivesBackWhatWasSaved) {
  const auto back = load();
  ASSERT_TRUE(back);
  ASSERT_EQ(back->components.size(), 2u);
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ(damage_to_json(back->components[i]), damage_to_json(part().components[i]));
  ASSERT_EQ(back->weight_facts.size(), 1u);
  EXPECT_EQ(facts_to_json(back->weight_facts[0]), facts_to_json(part().weight_facts[0]));
  EXPECT_EQ(back->control_kl, 0.25);
  EXPECT_FALSE(checkpoint("key").load({"L2", 2, task_.components, task_.matrices}));
  EXPECT_FALSE(checkpoint("other settings").load(task_));
  EXPECT_FALSE(SweepCheckpoint("", "key").load(task_));
  EXPECT_THAT(warnings_.all, IsEmpty());
}

TEST_F(Checkpoint, OfAnotherVersionIsToldApart) {
  for (const auto& [key, value] : {std::pair("schema_version", Json(2)), std::pair("tool_version", Json("0.0.9"))}) {
    Json json = read_json(file_);
    json[key] = value;
    json["components"] = "in a way that this version does not know";
    write_json(file_, json);
    warnings_.all.clear();
    EXPECT_FALSE(load());
    EXPECT_THAT(warnings_.all, ElementsAre(AllOf(HasSubstr(folder_.string()), HasSubstr("schema 2 by vernier"),
                                                 HasSubstr("measuring again"))));
  }
  EXPECT_THAT(warnings_.all, ElementsAre(HasSubstr("by vernier 0.0.9, expected schema 1 by ")));
}

TEST_F(Checkpoint, BrokenContentIsMeasuredAgainWithAWarning) {
  const Json sound = read_json(file_);
  const std::vector<std::function<void(Json&)>> defects = {
      [](Json& j) { j = Json::array(); },
      [](Json& j) { j = 5; },
      [](Json& j) { j.erase("schema_version"); },
      [](Json& j) { j["schema_version"] = "1"; },
      [](Json& j) { j["tool_version"] = 5; },
      [](Json& j) { j["key"] = nullptr; },
      [](Json& j) { j["key"] = Json::array(); },
      [](Json& j) { j.erase("components"); },
      [](Json& j) { j["components"] = 7; },
      [](Json& j) { j["components"] = Json::object(); },
      [](Json& j) { j["components"][0] = 7; },
      [](Json& j) { j["components"][0]["name"] = "L1.elbow"; },
      [](Json& j) { j["components"][0]["name"] = "L2.head0"; },
      [](Json& j) { j["components"][0]["kl_nats"] = "much"; },
      [](Json& j) { j["components"][0]["parameters"] = -1; },
      [](Json& j) { j["components"].erase(1); },
      [](Json& j) { j["components"].push_back(j["components"][0]); },
      [](Json& j) { j["weight_facts"] = "none"; },
      [](Json& j) { j["weight_facts"] = Json::array(); },
      [](Json& j) { j["weight_facts"][0]["tensor"] = "L1.ffn_up"; },
      [](Json& j) { j["weight_facts"][0]["rows"] = 1e300; },
      [](Json& j) { j["weight_facts"][0]["error_power"] = 5; },
      [](Json& j) { j["weight_facts"][0]["error_power"]["int4"] = Json::object(); },
      [](Json& j) { j["control_kl_nats"] = "0"; },
      [](Json& j) { j.erase("control_kl_nats"); },
  };
  for (size_t i = 0; i < defects.size(); ++i) {
    Json json = sound;
    defects[i](json);
    write_json(file_, json);
    warnings_.all.clear();
    EXPECT_FALSE(load()) << "defect " << i;
    EXPECT_THAT(warnings_.all, ElementsAre(AllOf(HasSubstr(file_.string()), HasSubstr("measuring L1 again"))))
        << "defect " << i;
  }
}

TEST_F(Checkpoint, EveryTruncationIsMeasuredAgain) {
  const std::string text = read_file(file_);
  for (size_t length = 0; length + 2 < text.size(); length += 7) {  // the last byte is the line's end
    fs::remove(file_);
    write_file(file_, text.substr(0, length));
    warnings_.all.clear();
    EXPECT_FALSE(load()) << length;
    EXPECT_EQ(warnings_.all.size(), 1u) << length;
  }
}

}  // namespace
}  // namespace vernier
