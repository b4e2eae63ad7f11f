#include "diagnose/window_groups.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "support/expect_error.h"
#include "support/models.h"
#include "support/scratch.h"

namespace vernier {
namespace {

/// Windows of a fixture's vocabulary in two groups, one of them with a document of two windows.
EvaluationData grouped_windows() {
  EvaluationData data = made_up_windows(5, 24, 320);
  for (const size_t w : {0, 1, 3}) data.clusters[w].group = "a";
  for (const size_t w : {2, 4}) data.clusters[w].group = "b";
  data.windows[3].cluster = 1;
  return data;
}

EvaluationData only(const EvaluationData& data, const std::string& group) {
  EvaluationData own = data;
  std::erase_if(own.windows,
                [&](const TokenWindow& w) { return data.clusters[static_cast<size_t>(w.cluster)].group != group; });
  return own;
}

DiagnoseOptions coarse() {
  DiagnoseOptions options;
  options.scheme = "int3:channel:sym";
  options.joint = false;
  return options;
}

TEST(WindowGroups, UnitsAreDistinctTextsOfOneGroup) {
  const WindowGroups groups = window_groups(swept_windows(grouped_windows()));
  EXPECT_THAT(groups.names, ::testing::ElementsAre("a", "b"));
  EXPECT_THAT(groups.unit_of_window, ::testing::ElementsAre(0, 1, 2, 1, 3));
  EXPECT_THAT(groups.group_of_unit, ::testing::ElementsAre(0, 0, 1, 1));
  EXPECT_EQ(groups.unit_tokens[1], 2 * groups.unit_tokens[0]);
  EXPECT_TRUE(window_groups(swept_windows(made_up_windows(3, 24, 320))).names.empty());
  EXPECT_TRUE(window_groups(swept_windows(only(grouped_windows(), "a"))).names.empty()) << "one group is no comparison";
}

// One pass scores all groups: as a diagnosis of each group alone.
TEST(WindowGroups, EveryGroupsDamageIsThatOfItsWindowsAlone) {
  const Model model = fixture_model("llama");
  const Calibration calibration = calibration_of(model);
  const EvaluationData data = grouped_windows();
  const Diagnosis d = diagnose(model, calibration, data, coarse());
  ASSERT_EQ(d.groups.size(), 2u);
  EXPECT_EQ(d.groups[0].windows, 3);
  EXPECT_EQ(d.groups[0].tokens + d.groups[1].tokens, d.tokens);
  ASSERT_TRUE(d.group_profiles);
  for (const std::string group : {"a", "b"}) {
    const Diagnosis alone = diagnose(model, calibration, only(data, group), coarse());
    EXPECT_TRUE(alone.groups.empty());
    for (const ComponentDamage& c : d.components) {
      const ComponentDamage& own = *alone.find(c.component);
      EXPECT_TRUE(own.groups.empty());
      EXPECT_NEAR(c.groups.at(group).kl.mean, own.kl.mean, 1e-12) << name_of(c.component);
      EXPECT_NEAR(c.groups.at(group).delta_nll.standard_error, own.delta_nll.standard_error, 1e-12);
    }
  }
  EvaluationData without = data;
  for (Cluster& cluster : without.clusters) cluster.group.clear();
  const Diagnosis plain = diagnose(model, calibration, without, coarse());
  for (size_t i = 0; i < d.components.size(); ++i) EXPECT_EQ(d.components[i].kl.mean, plain.components[i].kl.mean);
}

TEST(WindowGroups, SurviveTheFileAndTheCheckpoint) {
  const Model model = fixture_model("llama");
  const Calibration calibration = calibration_of(model);
  const EvaluationData data = grouped_windows();
  const std::filesystem::path folder = scratch_path("window_groups");
  DiagnoseOptions options = coarse();
  options.checkpoint = folder;
  const Json first = diagnosis_to_json(diagnose(model, calibration, data, options));
  EXPECT_EQ(diagnosis_to_json(diagnose(model, calibration, data, options)), first) << "from the checkpoint";
  EXPECT_EQ(diagnosis_to_json(diagnosis_from_json(parse_json(first.dump(), "d"), "d")), first);
  Json broken = first;
  broken["components"][0]["groups"] = 7;
  expect_error(ErrorKind::kBadFile, {"groups"}, [&] { diagnosis_from_json(broken, "d"); });
  broken = first;
  broken["group_profiles"]["components"][0].erase("factor");
  expect_error(ErrorKind::kBadFile, {"factor"}, [&] { diagnosis_from_json(broken, "d"); });
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace vernier
