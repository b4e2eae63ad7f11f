// `vernier finetune` on a classifier: what it refuses, leaves out, writes, and goes on with; its page.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/json.h"
#include "cli/cli.h"
#include "support/classifier_folder.h"
#include "support/scratch.h"

namespace vernier {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class FinetuneCli : public ::testing::Test {
 protected:
  FinetuneCli() {
    write_part("learned.csv", 0, 18);
    write_part("held_out.csv", 12, 24);
  }
  void write_part(const std::string& name, int first, int last) const {
    std::string manifest = "path,label\n";
    for (int i = first; i < last; ++i) manifest += fmt::format("{}.ppm,LABEL_{}\n", i, i % 3);
    write_file(folder_.path() / name, manifest);
  }
  std::string at(const char* name) const { return (folder_.path() / name).string(); }
  int tune(const std::vector<std::string>& more) const {
    std::vector<std::string> words = {"vernier",
                                      "finetune",
                                      folder_.model(),
                                      "--scheme",
                                      "int3:channel:asym",
                                      "--data",
                                      at("learned.csv"),
                                      "--groups",
                                      at("held_out.csv"),
                                      "--steps",
                                      "4",
                                      "--batch",
                                      "4",
                                      "--evaluate-steps",
                                      "2",
                                      "--validation-share",
                                      "0.2",
                                      "--threads",
                                      "1",
                                      "-o",
                                      at("out")};
    words.insert(words.end(), more.begin(), more.end());
    std::vector<const char*> argv;
    for (const std::string& word : words) argv.push_back(word.c_str());
    return run_cli(static_cast<int>(argv.size()), argv.data());
  }
  const ClassifierFolder folder_{"vernier_finetune_cli_test", 24};
};

TEST_F(FinetuneCli, WhatIsHeldOutIsNotLearned) {
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(tune({}), 2);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("--drop-shared"));
  EXPECT_FALSE(std::filesystem::exists(at("out/finetune.json")));
}

TEST_F(FinetuneCli, ASearchThatWantsACalibrationIsNotPassedOver) {
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(tune({"--drop-shared", "--method", "gptq"}), 2);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("give --calibration"));
  ::testing::internal::CaptureStderr();
  ::testing::internal::CaptureStdout();
  EXPECT_EQ(tune({"--drop-shared", "--weighting", "group-dro"}), 0);
  ::testing::internal::GetCapturedStdout();
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("--sampling balanced has all"));
}

TEST_F(FinetuneCli, GroupsAreDrawnMoreOftenByName) {
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(tune({"--drop-shared", "--oversample", "LABEL_9=2"}), 2);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), AllOf(HasSubstr("LABEL_9"), HasSubstr("LABEL_0")));
  ::testing::internal::CaptureStdout();
  EXPECT_EQ(tune({"--drop-shared", "--oversample", "LABEL_0=2", "LABEL_1=0.5"}), 0);
  ::testing::internal::GetCapturedStdout();
  const Json json = read_json(at("out/finetune.json"));
  EXPECT_EQ(json["options"]["oversample"], Json({{"LABEL_0", 2.0}, {"LABEL_1", 0.5}}));
}

TEST_F(FinetuneCli, CheckpointsAreChosenByTheGroupsThatAreMeasured) {
  write_file(folder_.path() / "held_out.csv", "path,label\n18.ppm,LABEL_0\n19.ppm,LABEL_1\n");
  ::testing::internal::CaptureStdout();
  ASSERT_EQ(tune({}), 0);
  ::testing::internal::GetCapturedStdout();
  const Json json = read_json(at("out/finetune.json"));
  const auto groups_of = [](const Json& evaluation) {
    std::set<std::string> names;
    for (const auto& [name, group] : evaluation["groups"].items()) names.insert(name);
    return names;
  };
  const std::set<std::string> measured{"LABEL_0", "LABEL_1"};
  EXPECT_EQ(groups_of(json["models"]["after"]), measured);
  EXPECT_EQ(groups_of(json["trained"]["points"][0]["validation"]), measured) << "LABEL_2 is learned from alone";
}

TEST_F(FinetuneCli, APresetGivesWhatTheCallLeavesOut) {
  ::testing::internal::CaptureStdout();
  ASSERT_EQ(tune({"--drop-shared", "--preset", "images", "--level-rate", "0.002", "--final-rate", "0.1"}), 0);
  ::testing::internal::GetCapturedStdout();
  const Json options = read_json(at("out/finetune.json"))["options"];
  EXPECT_EQ(options["steps"], 4) << "given";
  EXPECT_EQ(options["level_rate"], 0.002) << "given";
  EXPECT_EQ(options["final_rate"], 0.1) << "given, and of no preset";
  EXPECT_EQ(options["loss"], "distillation-fisher");
  EXPECT_EQ(options["patch_dropout"], 0.75);
  EXPECT_EQ(options["mirror"], true);
  ::testing::internal::CaptureStderr();
  EXPECT_NE(tune({"--preset", "sounds"}), 0);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("images"));
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(tune({"--preset", "images", "--learning-rate", "0.01", "--learn-scales"}), 2);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              AllOf(HasSubstr("--learning-rate, --learn-scales"), HasSubstr("--preset images")));
}

TEST_F(FinetuneCli, WritesResultFiguresAndPage) {
  ::testing::internal::CaptureStdout();
  ASSERT_EQ(tune({"--drop-shared", "--activations", "int8:token", "--shift", "1", "--mirror", "--loss",
                  "distillation-streams", "--control"}),
            0);
  EXPECT_THAT(::testing::internal::GetCapturedStdout(), HasSubstr("KL control"));
  const Json json = read_json(at("out/finetune.json"));
  EXPECT_EQ(json["data"]["dropped"], 6);
  EXPECT_EQ(json["data"]["learned"].get<int>() + json["data"]["validation"].get<int>(), 12);
  EXPECT_EQ(json["options"]["activations"], "int8:token:sym7");
  EXPECT_EQ(json["control"]["stopped"], "nothing to learn");
  EXPECT_EQ(json["changes"]["groups"].size(), 3U);
  EXPECT_EQ(json["models"]["full precision"]["all"]["kl_nats"], 0.0);
  EXPECT_TRUE(std::filesystem::exists(at("out/report.html")));

  const std::string made = at("out/finetune.json"), page = at("page.html");
  const char* again[] = {"vernier", "report", made.c_str(), "-o", page.c_str()};
  ::testing::internal::CaptureStdout();
  EXPECT_EQ(run_cli(5, again), 0);
  ::testing::internal::GetCapturedStdout();
  EXPECT_THAT(read_file(page), HasSubstr("Trained with rounding: "));
}

int run_quietly(std::vector<std::string> words) {
  words.insert(words.begin(), {"vernier", "--quiet"});
  std::vector<const char*> argv;
  for (const std::string& word : words) argv.push_back(word.c_str());
  return run_cli(static_cast<int>(argv.size()), argv.data());
}

TEST(FinetuneTextCli, TablesAndEndlessNumbersAreNotLearnedFrom) {
  const std::filesystem::path folder = scratch_path("vernier_finetune_table_test");
  std::filesystem::create_directories(folder);
  const std::string model = std::string(VERNIER_SOURCE_DIR) + "/models/demo-5m";
  const auto refused = [&](const std::string& name, const std::string& content, const char* option, const char* said) {
    write_file(folder / name, content);
    ::testing::internal::CaptureStderr();
    EXPECT_EQ(run_quietly({"finetune", model, "--scheme", "gguf:q4_0", "--data", (folder / name).string(), option, "-o",
                           (folder / "out").string()}),
              2);
    EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr(said));
  };
  refused("notes.csv", "id,text\n1,A page.\n", "--steps=1", "notes.csv: a table");
  refused("images.csv", "path,label\na.png,cat\n", "--steps=1", "names images");
  refused("pairs.txt", "sent_more,sent_less,bias_type\nOld.,Young.,age\n", "--steps=1", "pairs.txt: a table");
  refused("text.txt", "Some words.", "--dampening=inf", "expected a finite number, got inf");
  std::filesystem::remove_all(folder);
}

TEST(FinetuneTextCli, GoesOnFromAFileAndLearnsFromACalibration) {
  const std::filesystem::path folder = scratch_path("vernier_finetune_text_cli_test");
  std::filesystem::create_directories(folder);
  const auto at = [&](const char* name) { return (folder / name).string(); };
  const std::string model = std::string(VERNIER_SOURCE_DIR) + "/models/demo-5m";
  std::string text;
  for (int i = 0; i < 60; ++i) text += fmt::format("The {}th setting of {} takes a number. ", i, i * 37 % 61);
  write_file(at("text.txt"), text);
  ::testing::internal::CaptureStdout();
  ASSERT_EQ(run_quietly({"calibrate", model, "--calibration-text", at("text.txt"), "--context", "64", "--windows", "6",
                         "-o", at("c.safetensors")}),
            0);
  // A search that folds: whoever takes its matrices has to take its norms, too.
  const std::vector<std::string> searched = {"--method", "smoothquant", "--calibration", at("c.safetensors")};
  std::vector<std::string> words{"export", model, "--scheme", "gguf:q4_0", "-o", at("begun.gguf")};
  words.insert(words.end(), searched.begin(), searched.end());
  ASSERT_EQ(run_quietly(words), 0);
  const std::vector<std::string> begun = {"--begin", at("begun.gguf")};
  const auto tune_by = [&](const std::vector<std::string>& plan, const std::vector<std::string>& how, const char* out) {
    std::vector<std::string> all{"finetune",
                                 model,
                                 "--data",
                                 at("c.safetensors"),
                                 "--steps",
                                 "1",
                                 "--batch",
                                 "1",
                                 "--warm-up",
                                 "0",
                                 "--validation-share",
                                 "0.2",
                                 "--threads",
                                 "1",
                                 "--refit-steps",
                                 "0",
                                 "-o",
                                 at(out)};
    all.insert(all.end(), plan.begin(), plan.end());
    all.insert(all.end(), how.begin(), how.end());
    return run_quietly(all);
  };
  const auto tune = [&](const std::string& scheme, const std::vector<std::string>& how, const char* out) {
    return tune_by({"--scheme", scheme}, how, out);
  };
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(tune("gguf:q8_0", begun, "refused"), 2);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("--begin"));
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(tune("gguf:q4_0", {"--preset", "images"}, "preset"), 2);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("--preset images is for classifiers of images"));
  ASSERT_EQ(tune("gguf:q4_0", {"--preset", "text"}, "text"), 0);
  const Json options = read_json(at("text/finetune.json"))["options"];
  EXPECT_EQ(options["final_feature_weight"], 0);
  EXPECT_EQ(options["resample"], 0.3);
  EXPECT_EQ(options["batch"], 1) << "given";
  ASSERT_EQ(tune("gguf:q4_0", begun, "out"), 0);
  ASSERT_EQ(tune("gguf:q4_0", searched, "searched"), 0);
  ::testing::internal::GetCapturedStdout();
  const Json json = read_json(at("out/finetune.json"));
  EXPECT_EQ(json["data"]["learned"].get<int>() + json["data"]["validation"].get<int>(), 6);
  // Where it began is what the search found and the file holds.
  const Json same = read_json(at("searched/finetune.json"));
  EXPECT_NEAR(json["models"]["before"]["all"]["kl_nats"].get<double>() /
                  same["models"]["before"]["all"]["kl_nats"].get<double>(),
              1, 1e-5);
  // Matrices that the plan leaves plain are in no scheme of a file: an expert's router, or what a recipe keeps.
  write_file(at("recipe.txt"), "^L0.attn_v = f16\n^L1.attn_v = f32\n.* = gguf:q4_0\n");
  ASSERT_EQ(run_quietly({"export", model, "--recipe", at("recipe.txt"), "--method", "nearest", "-o", at("plain.gguf")}),
            0);
  ASSERT_EQ(tune_by({"--recipe", at("recipe.txt")}, {"--begin", at("plain.gguf")}, "plain"), 0);
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(tune_by({"--recipe", at("recipe.txt")}, begun, "unlike"), 2);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("L0.attn_v is gguf:q4_0"));
  const double first = json["trained"]["points"][0]["validation"]["all"]["kl_nats"].get<double>();
  EXPECT_NEAR(first / json["models"]["before"]["all"]["kl_nats"].get<double>(), 1, 1e-5);  // the same weights
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace vernier
