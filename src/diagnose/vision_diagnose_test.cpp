// Diagnoses of models that see, as artefacts and as what plans rest on. That the damage is right is the sweep's test.

#include <gtest/gtest.h>

#include <filesystem>

#include "base/json.h"
#include "diagnose/task.h"
#include "support/expect_error.h"
#include "support/models.h"
#include "support/scratch.h"
#include "support/vision_models.h"
#include "vernier/diagnose.h"
#include "vernier/planning.h"

namespace vernier {
namespace {

class VisionDiagnosis : public ::testing::TestWithParam<std::string> {
 protected:
  Model model_ = load_model(vision_fixture(GetParam()).string());
  AnswerData data_ = golden_answer_data(model_, GetParam());
  Calibration calibration_ = calibrate_vision(model_, data_.inputs);
};

TEST_P(VisionDiagnosis, HoldsEveryComponentAndGoesThroughItsFile) {
  const DiagnoseOptions options = planning_diagnosis("huggingface", "int3:channel:sym");
  const Diagnosis d = diagnose(model_, calibration_, data_, options);
  EXPECT_EQ(d.control_kl, 0);
  EXPECT_LT(d.noise_floor_kl, 1e-8);
  EXPECT_EQ(d.unit, "image");
  EXPECT_EQ(d.windows, data_.inputs.images);
  const std::vector<Component> wanted = components_of(model_.config(), all_component_kinds());
  ASSERT_EQ(d.components.size(), wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_EQ(d.components[i].component, wanted[i]);
    EXPECT_GT(d.components[i].kl.mean, 0) << name_of(wanted[i]);
  }
  ASSERT_TRUE(d.joint_kl.has_value());
  EXPECT_GT(d.joint_kl->mean, 0);
  const Json json = diagnosis_to_json(d);
  EXPECT_EQ(diagnosis_to_json(diagnosis_from_json(json, "diagnosis.json")), json);
  // Enough for a plan, which meets its budget.
  const DamageTable table = damage_table(model_, d);
  const Plan plan = plan_within(model_, {}, table, "+10%", {"huggingface", {}});
  EXPECT_LE(find_target("huggingface").counted_bytes(model_, plan, {}, {}), plan.budget_bytes);
  EXPECT_EQ(plan.entries.size(), model_.matrices().size());
}

TEST_P(VisionDiagnosis, GoesOnWhereAKilledOneWas) {
  const std::filesystem::path folder = scratch_path("vernier_vision_diagnosis_" + GetParam());
  std::filesystem::remove_all(folder);
  DiagnoseOptions options;
  options.scheme = "int4:channel:sym";
  options.checkpoint = folder;
  const Json first = diagnosis_to_json(diagnose(model_, calibration_, data_, options));
  const std::vector<DiagnosisTask> tasks =
      diagnosis_tasks(model_.config(), components_of(model_.config(), options.kinds));
  for (size_t i = 0; i < tasks.size(); i += 2) std::filesystem::remove(folder / (tasks[i].name + ".json"));
  EXPECT_EQ(diagnosis_to_json(diagnose(model_, calibration_, data_, options)), first);
  std::filesystem::remove_all(folder);
}

INSTANTIATE_TEST_SUITE_P(Models, VisionDiagnosis, ::testing::Values("vit", "deit_distilled", "clip"),
                         [](const auto& info) { return info.param; });

TEST(VisionDiagnosisTasks, HoldEveryComponentOfEveryStackInTheOrderOfMeasuring) {
  for (const std::string& name : vision_fixture_names()) {
    const ModelConfig config = outline_model(vision_fixture(name).string()).config;
    const std::vector<Component> wanted = components_of(config, all_component_kinds());
    std::vector<Component> held;
    for (const DiagnosisTask& task : diagnosis_tasks(config, wanted)) {
      held.insert(held.end(), task.components.begin(), task.components.end());
      for (const Component& c : task.components) EXPECT_EQ(c.stack, task.stack) << task.name;
    }
    EXPECT_EQ(held, wanted) << name;
  }
}

TEST(VisionDiagnosisRefusals, SayWhatIsMissing) {
  const Model vit = load_model(vision_fixture("vit").string()), llama = fixture_model("llama");
  const AnswerData data = golden_answer_data(vit, "vit");
  expect_error(ErrorKind::kUnsupported, {"diagnose", "language model", "on text"}, [&] { diagnose(llama, {}, data); });
  expect_error(ErrorKind::kUnsupported, {"diagnose", "expected a language model"},
               [&] { diagnose(vit, {}, made_up_windows(2, 8, 10)); });
  expect_error(ErrorKind::kInvalidArgument, {"calibration"}, [&] { diagnose(vit, calibration_of(llama), data); });
}

}  // namespace
}  // namespace vernier
