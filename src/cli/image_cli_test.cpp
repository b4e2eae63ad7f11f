// What the command line does with a model that sees and labelled images, stage by stage and as one run.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/json.h"
#include "cli/cli.h"
#include "support/models.h"
#include "support/noise_images.h"
#include "support/scratch.h"
#include "vernier/evaluation_file.h"

namespace vernier {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

int run_images(std::initializer_list<std::string> arguments) {
  std::vector<const char*> argv{"vernier"};
  for (const std::string& a : arguments) argv.push_back(a.c_str());
  return run_cli(static_cast<int>(argv.size()), argv.data());
}

class ImageCli : public ::testing::Test {
 protected:
  NoiseImages files_{scratch_path("vernier_image_cli")};
  std::string test_ = files_.manifest("test", 30, 5);
  std::string at(const std::string& name) const { return (files_.folder() / name).string(); }

  static void expect_refused(std::initializer_list<std::string> arguments, const std::vector<std::string>& words) {
    ::testing::internal::CaptureStderr();
    EXPECT_NE(run_images(arguments), 0);
    const std::string said = ::testing::internal::GetCapturedStderr();
    for (const std::string& word : words) EXPECT_THAT(said, HasSubstr(word));
  }
};

TEST_F(ImageCli, StagesOneByOne) {
  const std::string calibration = at("calibration.safetensors");
  ASSERT_EQ(run_images({"calibrate", files_.model(), "--images", test_, "--windows", "20", "-o", calibration}), 0);
  ::testing::internal::CaptureStdout();
  ASSERT_EQ(run_images({"diagnose", files_.model(), "--data", test_, "--images", "10", "--calibration", calibration,
                        "--scheme", "int3:channel:sym", "-o", at("diagnosis.json")}),
            0);
  const std::string told = ::testing::internal::GetCapturedStdout();
  EXPECT_THAT(told, HasSubstr("on 10 images of test.csv"));
  EXPECT_THAT(told, HasSubstr("control (quantize nothing): KL 0;"));
  ::testing::internal::CaptureStdout();
  ASSERT_EQ(run_images({"screen", files_.model(), "--data", test_, "--images", "10", "--calibration", calibration,
                        "--schemes", "int3:channel:sym", "--against", at("diagnosis.json"), "-o", at("screen.json")}),
            0);
  const std::string foretold = ::testing::internal::GetCapturedStdout();
  for (const char* part : {"10 labels", "against the exact sweep", "predicted / exact"})
    EXPECT_THAT(foretold, HasSubstr(part));
  ASSERT_EQ(run_images({"plan", files_.model(), "--diagnosis", at("diagnosis.json"), "--budget", "+10%", "-o",
                        at("plan.json")}),
            0);
  EXPECT_EQ(read_json(at("plan.json"))["target"], "huggingface") << "a model that sees has no other";
  ASSERT_EQ(run_images({"quantize", files_.model(), "--plan", at("plan.json"), "--calibration", calibration, "-o",
                        at("quantized")}),
            0);
  ASSERT_EQ(run_images({"quantize", files_.model(), "--plan", at("plan.json"), "--calibration", calibration, "--method",
                        "gptq", "-o", at("fed_back")}),
            0);
  ASSERT_EQ(run_images({"groups", at("quantized"), "--reference", files_.model(), "--data", test_}), 0);
}

TEST_F(ImageCli, EvaluateTellsAccuracyAndHowFarItIsFromTheReference) {
  ASSERT_EQ(run_images({"quantize", files_.model(), "--scheme", "int3:channel:sym", "--method", "nearest", "-o",
                        at("quantized")}),
            0);
  ::testing::internal::CaptureStdout();
  ASSERT_EQ(run_images({"evaluate", at("quantized"), "--reference", files_.model(), "--data", test_}), 0);
  const std::string told = ::testing::internal::GetCapturedStdout();
  for (const char* part : {"Accuracy (%)", "Mean KLD (nats/image)", "Same class (%)", "images", "class "})
    EXPECT_THAT(told, HasSubstr(part));
  ASSERT_EQ(run_images({"evaluate", at("quantized"), "--reference", files_.model(), "--data", test_, "--images", "10",
                        "--json", at("e.json")}),
            0);
  const EvaluationFile file = evaluation_file_from_json(read_json(at("e.json")), "e.json");
  EXPECT_TRUE(file.of_images);
  ASSERT_EQ(file.rows.size(), 2U);
  EXPECT_EQ(file.rows[0].kind, "reference");
  EXPECT_EQ(file.rows[0].text.find("kl_nats"), nullptr) << "nobody compares it";
  EXPECT_EQ(file.rows[1].text.tokens, 10);
  EXPECT_GT(file.rows[1].text.kl().mean, 0);
  expect_refused({"evaluate", files_.model(), "--data", test_, "--windows", "2"}, {"--windows is of texts"});
  expect_refused({"evaluate", files_.model(), "--data", test_, "--context", "64", "--score", "all"},
                 {"--context, --score are of texts"});
  expect_refused({"evaluate", files_.model(), "--data", test_, "--reference", source_dir() / "models/demo-5m"},
                 {"reads text, the other one sees images"});
  expect_refused({"evaluate", source_dir() / "models/demo-5m", "--images", "3"}, {"is of models that see"});
  expect_refused({"groups", source_dir() / "models/demo-5m", "--schemes", "int4:g64", "--prompts", "single"},
                 {"--prompts is of models that see"});
}

TEST_F(ImageCli, AModelThatNamesItsClassesOtherwiseIsNoReference) {
  Json config = read_json(fs::path(files_.model()) / "config.json");
  for (int i = 0; i < 10; ++i) config["id2label"][std::to_string(i)] = fmt::format("LABEL_{}", 9 - i);
  write_json(fs::path(files_.model()) / "config.json", config);
  fs::copy(files_.model(), at("other"), fs::copy_options::recursive);
  std::swap(config["id2label"]["0"], config["id2label"]["1"]);
  write_json(at("other/config.json"), config);
  for (const char* command : {"evaluate", "groups"})
    expect_refused({command, at("other"), "--reference", files_.model(), "--data", test_},
                   {"is class 0 in", "id2label in one order"});
  expect_refused({"evaluate", files_.model(), "--reliability", "--with", at("other"), "--data", test_},
                 {"is class 0 in", "id2label in one order"});
}

TEST_F(ImageCli, AsOneRun) {
  ::testing::internal::CaptureStdout();
  ASSERT_EQ(run_images({"run", files_.model(), "--data", test_, "--budget", "+10%", "-o", at("out")}), 0);
  const std::string told = ::testing::internal::GetCapturedStdout();
  for (const char* part : {"accuracy %", "same class %", "full precision", "report.html"})
    EXPECT_THAT(told, HasSubstr(part));
  for (const char* file : {"model/model.safetensors", "model/preprocessor_config.json", "groups.json", "report.html"})
    EXPECT_TRUE(fs::exists(files_.folder() / "out" / file)) << file;
  EXPECT_TRUE(fs::exists(files_.folder() / "out/screen.json")) << "confirmed where it decides, unless told otherwise";
  ::testing::internal::CaptureStdout();
  EXPECT_EQ(run_images({"run", files_.model(), "--data", test_, "--dry-run", "-o", at("dry")}), 0);
  EXPECT_THAT(::testing::internal::GetCapturedStdout(), HasSubstr("on 6 images"));
}

TEST_F(ImageCli, TextForImagesAndImagesForTextAreToldWhatToGive) {
  const std::string calibration = at("calibration.safetensors"), text = at("text.txt");
  ASSERT_EQ(run_images({"calibrate", files_.model(), "--images", test_, "-o", calibration}), 0);
  write_file(text, "Some words.\n");
  expect_refused({"diagnose", files_.model(), "--calibration", calibration, "-o", at("d")},
                 {"sees images", "a manifest (CSV: path,label", "got 0"});
  expect_refused({"diagnose", files_.model(), "--data", text, "--calibration", calibration, "-o", at("d")},
                 {"text.txt is text", "a manifest"});
  expect_refused({"run", files_.model(), "--data", text, "-o", at("r")}, {"text.txt is text"});
  const std::string reads = (source_dir() / "models/demo-5m").string();
  expect_refused({"run", reads, "--data", test_, "-o", at("r")}, {"is a language model", "test.csv names images"});
  expect_refused({"run", reads, "--data", files_.folder().string(), "-o", at("r")}, {"is a language model"});
  expect_refused({"calibrate", reads, "--images", test_, "-o", at("c")}, {"is a language model"});
  expect_refused(
      {"run", files_.model(), "--data", test_, "--effort", "screen", "--objective", "worst-group", "-o", at("r")},
      {"--effort exact"});
  expect_refused({"screen", files_.model(), "--calibration", calibration, "-o", at("s")}, {"a manifest", "got 0"});
  expect_refused({"screen", files_.model(), "--data", test_, "--limit", "--calibration", calibration, "-o", at("s")},
                 {"the limit"});
  expect_refused({"run", files_.model(), "--data", test_, "--target", "llama.cpp", "-o", at("r")},
                 {"--target huggingface"});
}

TEST_F(ImageCli, OptionsWithoutAMeaningAreNotPassedOver) {
  const std::string calibration = at("calibration.safetensors");
  const std::string reads = (source_dir() / "models/demo-5m").string();
  ASSERT_EQ(run_images({"calibrate", files_.model(), "--images", test_, "-o", calibration}), 0);
  for (const char* command : {"diagnose", "screen"}) {
    expect_refused({command, files_.model(), "--calibration", calibration, "--data", test_, "--windows", "3"},
                   {command, "--windows is of texts"});
    expect_refused({command, reads, "--calibration", calibration, "--images", "3", "--prompts", "single"},
                   {command, "--images, --prompts are of models that see"});
  }
  expect_refused({"evaluate", files_.model(), "--data", test_, "--activations", "llama.cpp"}, {"GGUF", "int8:token"});
  for (const char* command : {"evaluate", "run"})
    expect_refused({command, files_.model(), "--data", test_, "--prompts", "best-7"}, {"reads no prompts"});
  expect_refused({"calibrate", files_.model(), "--images", test_, "--context", "64", "-o", at("c")},
                 {"--context is of texts"});
  expect_refused(
      {"run", files_.model(), "--data", test_, "--effort", "exact", "--objective", "weighted:unicorn=2", "-o", at("r")},
      {"there is no group unicorn"});
  EXPECT_FALSE(fs::exists(at("r/damage.json"))) << "known before anything is measured";
}

}  // namespace
}  // namespace vernier
