// The chain for a model that sees, on a tiny one.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <set>

#include "base/json.h"
#include "run/run_directory.h"
#include "support/expect_error.h"
#include "support/letters_tokenizer.h"
#include "support/models.h"
#include "support/noise_images.h"
#include "support/scratch.h"
#include "support/vision_models.h"
#include "vernier/confirm.h"
#include "vernier/diagnose.h"
#include "vernier/group_study.h"
#include "vernier/run.h"
#include "vernier/screen.h"

namespace vernier {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains, ::testing::ElementsAre, ::testing::HasSubstr, ::testing::IsEmpty, ::testing::Not;

struct BegunStages : ProgressSink {
  std::set<std::string> begun;
  std::vector<std::string> warnings;
  void begin(std::string_view stage, int64_t, std::string_view) override {
    begun.emplace(stage.substr(0, stage.find(' ')));  // "quantize planned"
  }
  void warn(std::string_view message) override { warnings.emplace_back(message); }
};

class ImageRun : public ::testing::Test {
 protected:
  NoiseImages files_{scratch_path("vernier_image_run")};
  std::string test_ = files_.manifest("test", 40, 1);

  RunOptions options() const {
    RunOptions o;
    o.output = files_.folder() / "out";
    o.target = "huggingface";
    o.effort = Effort::kExact;
    o.scheme = "int4:g32:asym";
    o.images = test_;
    o.compute.threads = 2;
    return o;
  }
};

TEST_F(ImageRun, AFileCutShortIsToldBeforeAnythingIsMeasured) {
  write_file(files_.folder() / "test38.ppm",
             std::string("\x89PNG\r\n\x1A\n\0\0\0\rIHDR\0\0\0\x20\0\0\0\x20\x08\x02", 26));
  BegunStages stages;
  expect_error(ErrorKind::kBadFile, {"test38.ppm", "incomplete"}, [&] { run(files_.model(), options(), &stages); });
  EXPECT_THAT(stages.begun, IsEmpty());
}

TEST_F(ImageRun, GoesFromAModelToADirectoryAndAReportAndGoesOnWhereItWas) {
  BegunStages stages;
  const RunResult result = run(files_.model(), options(), &stages);
  EXPECT_THAT(stages.begun, ElementsAre("calibrate", "classify", "diagnose", "quantize"));
  EXPECT_THAT(stages.warnings, Contains(HasSubstr("8 of the 40 images of test.csv are held back")));
  ASSERT_GE(result.rows.size(), 3u);
  EXPECT_TRUE(result.of_images);
  EXPECT_EQ(result.rows.front().label, "full precision");
  EXPECT_EQ(result.rows.back().kind, "plan");
  for (size_t i = 1; i < result.rows.size(); ++i) {
    const EvaluationRow& row = result.rows[i];
    EXPECT_EQ(row.text.tokens, 32) << "what is not held back";
    EXPECT_LE(row.bytes, result.budget_bytes) << row.label;
    EXPECT_GE(row.text.kl().mean, result.rows[result.chosen].text.kl().mean) << row.label;
    EXPECT_NEAR(row.text.nll().mean - row.text.at("delta_nll_nats").mean, result.rows[0].text.nll().mean, 1e-5);
    EXPECT_EQ(row.groups.count("class LABEL_3"), 1u);
    EXPECT_EQ(row.groups.at("kind even").tokens + row.groups.at("kind odd").tokens, 32);
  }
  const Diagnosis d = diagnosis_from_json(read_json(result.files.diagnosis), "diagnosis.json");
  EXPECT_EQ(d.unit, "image");
  EXPECT_EQ(d.windows, 8);
  EXPECT_EQ(d.control_kl, 0);
  const GroupStudy groups = group_study_from_json(read_json(files_.folder() / "out/groups.json"), "groups.json");
  ASSERT_EQ(groups.entries.size(), 1u);
  EXPECT_EQ(groups.entries[0].analysis.examples, 32);
  const Json manifest = finished_manifest(files_.folder() / "out");
  EXPECT_EQ(manifest["calibration"]["held_back"], 8);
  EXPECT_EQ(manifest["evaluation"]["images"], 32);
  EXPECT_TRUE(fs::exists(result.files.report));
  EXPECT_EQ(load_model(result.files.model.string()).tensors(), load_model(files_.model()).tensors());
  const Json json = run_result_to_json(result), rows = read_json(result.files.evaluation)["rows"];
  for (size_t i = 0; i < rows.size(); ++i)
    for (const char* key : {"accuracy_share", "nll_nats", "kl_nats", "kl_nats_stderr"})
      EXPECT_EQ(json["rows"][i][key], rows[i]["text"].value(key, Json())) << key;

  BegunStages again;
  const RunResult same = run(files_.model(), options(), &again);
  EXPECT_THAT(again.begun, IsEmpty());
  EXPECT_EQ(run_result_to_json(same), json);
}

TEST_F(ImageRun, ATextTowerIsSaidToBeJudgedByItsPromptsAlone) {
  for (const char* file : {"config.json", "model.safetensors"})
    fs::copy_file(vision_fixture("clip") / file, files_.folder() / "model" / file,
                  fs::copy_options::overwrite_existing);
  write_file(files_.folder() / "model/tokenizer.json", letters_tokenizer());
  RunOptions o = options();
  o.effort = Effort::kScreen;
  for (int c = 0; c < 10; ++c) o.classes.push_back(fmt::format("LABEL_{}", c));
  BegunStages stages;
  const RunResult result = run(files_.model(), o, &stages);
  EXPECT_THAT(stages.warnings, Contains(HasSubstr("judged by 10 prompts alone")));
  EXPECT_TRUE(std::isfinite(result.rows.back().text.kl().mean));
}

TEST_F(ImageRun, WhatWasLostOrIsGroupedOtherwiseIsMadeAgain) {
  RunOptions o = options();
  const RunResult first = run(files_.model(), o);
  const fs::path config = first.files.model / "config.json";
  const std::string written = read_file(config);
  fs::remove(config);
  run(files_.model(), o);
  EXPECT_EQ(read_file(config), written);

  std::string manifest = read_file(test_);
  for (size_t at = manifest.find("even"); at != std::string::npos; at = manifest.find("even"))
    manifest.replace(at, 4, "calm");
  write_file(test_, manifest);
  const RunResult regrouped = run(files_.model(), o);
  EXPECT_TRUE(regrouped.rows.back().groups.contains("kind calm"));
  EXPECT_FALSE(regrouped.rows.back().groups.contains("kind even"));

  o.budget = "400%";
  const uint64_t more = run(files_.model(), o).budget_bytes;
  EXPECT_GT(more, regrouped.budget_bytes);
  o.budget = "500%";  // the same files fit
  const RunResult most = run(files_.model(), o);
  EXPECT_GT(most.budget_bytes, more);
  EXPECT_EQ(read_json(most.files.evaluation)["budget_bytes"], most.budget_bytes);
}

TEST_F(ImageRun, CalibrationImagesOfTheirOwnLeaveAllOthersToEvaluate) {
  RunOptions o = options();
  o.calibration_images = files_.manifest("calibration", 12, 2);
  o.diagnose_images = 10;
  const RunResult result = run(files_.model(), o);
  EXPECT_EQ(result.rows.back().text.tokens, 40);
  EXPECT_EQ(diagnosis_from_json(read_json(result.files.diagnosis), "diagnosis.json").windows, 10);
  o.calibration_images = test_;
  o.output = files_.folder() / "shared";
  BegunStages stages;
  forecast_run(load_model(files_.model()), o, &stages);
  EXPECT_THAT(stages.warnings, Contains(HasSubstr("40 images are in both")));
  o.strict = true;
  expect_error(ErrorKind::kInvalidArgument, {"40 images are in both", "--strict"}, [&] { run(files_.model(), o); });
}

TEST_F(ImageRun, GradientsForetellWhatIsThenMeasuredWhereItDecides) {
  RunOptions o = options();
  const Model model = load_model(files_.model());
  o.effort = Effort::kConfirm;
  BegunStages stages;
  const RunResult confirmed = run(files_.model(), o, &stages);
  EXPECT_THAT(stages.begun, Contains("screen"));
  EXPECT_THAT(stages.begun, Contains("measure"));
  EXPECT_THAT(stages.begun, Not(Contains("diagnose")));
  const Screen screened = screen_from_json(read_json(o.output / "screen.json"), "screen.json");
  EXPECT_EQ(screened.components, components_of(model.config(), all_component_kinds()));
  EXPECT_EQ(screened.domains.at(0).windows, 8);
  const Diagnosis d = diagnosis_from_json(read_json(confirmed.files.diagnosis), "diagnosis.json");
  EXPECT_EQ(d.unit, "image");
  EXPECT_EQ(d.control_kl, 0);
  const Confirmation c = confirmation_from_json(read_json(o.output / "work/confirmation.json"), "confirmation.json");
  EXPECT_GE(c.matrices.size(), 8u);
  for (const ConfirmedMatrix& m : c.matrices) EXPECT_GT(m.exact.mean, 0) << name_of(m.tensor);
  EXPECT_LE(confirmed.rows.back().bytes, confirmed.budget_bytes);
  EXPECT_TRUE(fs::exists(confirmed.files.report));
  BegunStages again;
  EXPECT_EQ(run_result_to_json(run(files_.model(), o, &again)), run_result_to_json(confirmed));
  EXPECT_THAT(again.begun, IsEmpty());

  o.output = files_.folder() / "screened";
  o.effort = Effort::kScreen;
  BegunStages few;
  run(files_.model(), o, &few);
  EXPECT_THAT(few.begun, Not(Contains("measure")));
  o.effort = Effort::kConfirm;
  const RunForecast forecast = forecast_run(model, o);
  std::vector<std::string> names;
  for (const RunForecast::Stage& stage : forecast.stages) names.push_back(stage.stage);
  EXPECT_THAT(names, ElementsAre("calibrate", "screen", "confirm", "export", "evaluate"));
  EXPECT_GT(forecast.exact_seconds, 0);
}

TEST_F(ImageRun, AForecastMeasuresNothing) {
  BegunStages stages;
  const RunForecast forecast = forecast_run(load_model(files_.model()), options(), &stages);
  EXPECT_THAT(stages.begun, IsEmpty());
  EXPECT_EQ(forecast.diagnose_windows, 8);
  EXPECT_GT(forecast.components, 20u);
  std::vector<std::string> names;
  for (const RunForecast::Stage& stage : forecast.stages) {
    names.push_back(stage.stage);
    EXPECT_GT(stage.seconds, 0) << stage.stage;
  }
  EXPECT_THAT(names, ElementsAre("calibrate", "diagnose", "export", "evaluate"));
  EXPECT_FALSE(fs::exists(files_.folder() / "out"));
}

TEST_F(ImageRun, WhatItCannotDoIsSaidWithWhatToGiveInstead) {
  const auto refused = [&](ErrorKind kind, std::vector<std::string> words, auto&& change) {
    RunOptions o = options();
    change(o);
    expect_error(kind, words, [&] { run(files_.model(), o); });
  };
  refused(ErrorKind::kUnsupported, {"llama.cpp does not load", "--target huggingface"},
          [](RunOptions& o) { o.target = "llama.cpp"; });
  refused(ErrorKind::kUnsupported, {"plans by group", "--effort exact"}, [](RunOptions& o) {
    o.effort = Effort::kConfirm;
    o.objective = PlanObjective::parse("worst-group");
  });
  refused(ErrorKind::kInvalidArgument, {"--data with a manifest"}, [](RunOptions& o) { o.images.clear(); });
  refused(ErrorKind::kInvalidArgument, {"expected no text"}, [](RunOptions& o) { o.evaluation_text = {"a.txt"}; });
  write_file(files_.folder() / "broken.csv", "path,label\ntest0.ppm,LABEL_1\nabsent.ppm,LABEL_1\n");
  refused(ErrorKind::kBadFile, {"broken.csv:3", "absent.ppm", "does not exist"},
          [&](RunOptions& o) { o.images = (files_.folder() / "broken.csv").string(); });
  write_file(files_.folder() / "beyond.csv", "path,label\ntest0.ppm,77\n");
  refused(ErrorKind::kBadFile, {"beyond.csv:2", "77"},
          [&](RunOptions& o) { o.images = (files_.folder() / "beyond.csv").string(); });
  write_file(files_.folder() / "no_image.csv", "path,label\ntest0.ppm,LABEL_1\ntest.csv,LABEL_1\ntest1.ppm,LABEL_1\n");
  refused(ErrorKind::kUnsupported, {"no_image.csv:3", "test.csv", "no known format"}, [&](RunOptions& o) {
    o.images = test_;
    o.calibration_images = (files_.folder() / "no_image.csv").string();
  });
  RunOptions text;
  text.output = files_.folder() / "text";
  text.images = test_;
  expect_error(ErrorKind::kInvalidArgument, {"language model", "expected texts"},
               [&] { run(std::string(VERNIER_SOURCE_DIR) + "/models/demo-5m", text); });
}

}  // namespace
}  // namespace vernier
