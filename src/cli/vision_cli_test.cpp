// What the command line does with models that see: answers, calibration, quantized directories, and clear refusals.

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "cli/cli.h"
#include "support/expect_error.h"
#include "support/scratch.h"
#include "support/vision_models.h"
#include "vernier/calibrate.h"
#include "vernier/diagnose.h"
#include "vernier/screen.h"

namespace vernier {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

int run_command(std::initializer_list<std::string> arguments) {
  std::vector<const char*> argv{"vernier"};
  for (const std::string& a : arguments) argv.push_back(a.c_str());
  return run_cli(static_cast<int>(argv.size()), argv.data());
}

class VisionCli : public ::testing::Test {
 protected:
  fs::path work_ = scratch_path("vernier_vision_cli_test");
  void SetUp() override { fs::create_directories(work_); }
  void TearDown() override { fs::remove_all(work_); }
  std::string at(const std::string& name) const { return (work_ / name).string(); }
  static std::string model(const char* name) { return vision_fixture(name).string(); }
  static std::string inputs(const char* name) { return (vision_fixture(name) / "golden.safetensors").string(); }
};

TEST_F(VisionCli, LogitsAreWhatTheModelSays) {
  ASSERT_EQ(run_command({"logits", model("vit"), "--input", inputs("vit"), "-o", at("vit.safetensors")}), 0);
  EXPECT_LT(relative_distance(tensor_in(SafetensorsFile(at("vit.safetensors")), "logits"),
                              tensor_in(SafetensorsFile(inputs("vit")), "logits")),
            2e-5);
  ASSERT_EQ(run_command({"logits", model("clip"), "--input", inputs("clip"), "-o", at("clip.safetensors")}), 0);
  for (const char* name : {"logits_per_image", "image_embeds", "text_embeds"})
    EXPECT_LT(relative_distance(tensor_in(SafetensorsFile(at("clip.safetensors")), name),
                                tensor_in(SafetensorsFile(inputs("clip")), name)),
              2e-5)
        << name;
}

TEST_F(VisionCli, CalibratedThenQuantizedToADirectory) {
  for (const char* name : {"deit_distilled", "clip"}) {
    const std::string calibration = at(std::string(name) + ".safetensors"), folder = at(name), out = at("out");
    ASSERT_EQ(run_command({"calibrate", model(name), "--images", inputs(name), "-o", calibration}), 0);
    EXPECT_NO_THROW(check_calibration(load_calibration(calibration), load_model(model(name))));
    ASSERT_EQ(run_command({"quantize", model(name), "--scheme", "int8:channel:sym", "--method", "importance",
                           "--calibration", calibration, "-o", folder}),
              0);
    ASSERT_EQ(run_command({"logits", folder, "--input", inputs(name), "-o", out}), 0);
    const char* scores = std::string(name) == "clip" ? "logits_per_image" : "logits";
    const double error =
        relative_distance(tensor_in(SafetensorsFile(out), scores), tensor_in(SafetensorsFile(inputs(name)), scores));
    EXPECT_GT(error, 1e-4) << name << ": quantized";
    EXPECT_LT(error, 0.1) << name << ": to 8 bits";
    const Model before = load_model(model(name)), after = load_model(folder);
    ASSERT_EQ(after.tensors(), before.tensors());
    for (const TensorId& id : before.tensors()) {
      const bool same = after.weight(id).equal(before.weight(id));
      EXPECT_EQ(same, !is_matrix(id.role)) << name_of(id);
    }
  }
}

TEST_F(VisionCli, AllThatIsInside) {
  ::testing::internal::CaptureStdout();
  ASSERT_EQ(run_command({"inspect", model("clip"), "--tensors"}), 0);
  const std::string told = ::testing::internal::GetCapturedStdout();
  for (const char* part : {"image.patch_embed", "text.L1.ffn_up", "logit_scale", "heads 16"})
    EXPECT_THAT(told, HasSubstr(part));
}

TEST_F(VisionCli, WhatNeedsALanguageModelSaysSo) {
  const auto refused = [&](std::initializer_list<std::string> arguments, const char* said) {
    ::testing::internal::CaptureStderr();
    EXPECT_NE(run_command(arguments), 0);
    EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr(said));
  };
  refused({"evaluate", model("vit")}, "expected one --data, a manifest");
  refused({"calibrate", model("vit"), "-o", at("c")}, "name some with --images");
  refused({"run", model("vit"), "--budget", "+10%", "-o", at("run")}, "expected one --data, a manifest");
  refused({"export", model("vit"), "--scheme", "gguf:q8_0", "-o", at("x.gguf")}, "expected a language model");
  const Model vit = load_model(model("vit"));
  expect_error(ErrorKind::kUnsupported, {"diagnose", "expected a language model"},
               [&] { diagnose(vit, {}, EvaluationData(), {}); });
  expect_error(ErrorKind::kUnsupported, {"screen", "expected a language model"},
               [&] { screen(vit, {}, std::vector<ScreenText>(), {}); });
  refused({"logits", model("clip"), "--input", inputs("vit"), "-o", at("x")}, "input_ids");
}

}  // namespace
}  // namespace vernier
