#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <string>

#include "base/json.h"
#include "base/output_file.h"
#include "cli/activations_table.h"
#include "cli/cli.h"
#include "support/models.h"
#include "support/noise_images.h"
#include "support/scratch.h"
#include "vernier/activations.h"

namespace vernier {
namespace {

int run_activations(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"vernier", "--quiet"});
  std::vector<const char*> argv;
  for (const std::string& a : arguments) argv.push_back(a.c_str());
  return run_cli(static_cast<int>(argv.size()), argv.data());
}

TEST(ActivationsCommand, WritesWhatItPrintsAndThePageAgain) {
  const auto work = scratch_path("vernier_activations_cli");
  const std::string demo = (source_dir() / "models/demo-5m").string();
  const std::string text = (source_dir() / "data/builtin/evaluation.txt").string();
  const auto file = [&](const char* name) { return (work / name).string(); };
  std::filesystem::create_directories(work);
  ::testing::internal::CaptureStdout();
  ASSERT_EQ(run_activations({"activations",
                             demo,
                             "--data",
                             text,
                             "--context",
                             "32",
                             "--windows",
                             "2",
                             "--calibration-windows",
                             "2",
                             "--growth-windows",
                             "1",
                             "--grids",
                             "int8:token,int4:tensor",
                             "--caches",
                             "q4_0",
                             "-o",
                             file("activations.json"),
                             "--report",
                             file("page.html")}),
            0);
  const std::string printed = ::testing::internal::GetCapturedStdout();
  for (const char* word : {"residual", "kurtosis", "int8:token", "int4:tensor:max", "q4_0", "keys alone"})
    EXPECT_THAT(printed, ::testing::HasSubstr(word));
  const ActivationStudy study = activation_study_from_json(read_json(file("activations.json")), "activations.json");
  EXPECT_EQ(study.grids.size(), 2u);
  EXPECT_GT(study.grids[1].together.mean, study.grids[0].together.mean);
  EXPECT_EQ(study.facts.windows, 2);
  ASSERT_EQ(run_activations({"report", file("activations.json"), "-o", file("again.html")}), 0);
  EXPECT_EQ(read_file(file("again.html")), read_file(file("page.html")));
  EXPECT_EQ(run_activations({"activations", demo, "--grids", "int9:token"}), 2);
  EXPECT_EQ(run_activations({"activations", demo, "--caches", "q5_1"}), 2);
  std::filesystem::remove_all(work);
}

TEST(ActivationsCommand, LooksAtImagesAndRefusesWhatIsOfTexts) {
  using ::testing::HasSubstr;
  using ::testing::Not;
  const NoiseImages files(scratch_path("vernier_activations_images"));
  const std::string images = files.manifest("some", 20, 1), output = (files.folder() / "a.json").string();
  ::testing::internal::CaptureStdout();
  ASSERT_EQ(run_activations({"activations", files.model(), "--data", images, "--grids", "int8:token,int4:tensor", "-o",
                             output, "--report", (files.folder() / "a.html").string()}),
            0);
  EXPECT_THAT(::testing::internal::GetCapturedStdout(),
              AllOf(HasSubstr("patches and learned rows of some.csv"), HasSubstr("KL, nats per image"),
                    HasSubstr("10 images of some.csv"), Not(HasSubstr("1st token")), Not(HasSubstr("cache"))));
  const ActivationStudy study = activation_study_from_json(read_json(output), "a.json");
  EXPECT_EQ(study.inputs, "image");
  EXPECT_EQ(study.facts.windows, 10) << "the half that errors are not measured on";
  EXPECT_GT(study.grids[1].together.mean, study.grids[0].together.mean);
  for (const std::vector<std::string>& of_texts :
       {std::vector<std::string>{"--context", "32"}, {"--caches", "q8_0"}, {"--tower", "text"}}) {
    std::vector<std::string> arguments{"activations", files.model(), "--data", images};
    arguments.insert(arguments.end(), of_texts.begin(), of_texts.end());
    EXPECT_EQ(run_activations(arguments), 2) << of_texts[0];
  }
  EXPECT_EQ(run_activations({"activations", (source_dir() / "models/demo-5m").string(), "--images", "3"}), 2);
}

std::string printed(const ActivationStudy& study) {
  Console console;
  console.out = std::tmpfile();
  print_activations(study, console);
  std::rewind(console.out);
  std::string text(1 << 16, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), console.out));
  std::fclose(console.out);
  return text;
}

// A model whose values are large everywhere has hundreds of them.
TEST(ActivationsCommand, OfManyOutlierFeaturesThoseThatStandOutAreShown) {
  using ::testing::HasSubstr;
  using ::testing::Not;
  ActivationStudy study;
  study.facts.sites[{Site::kResidual, 0}].channels = 10;
  for (int64_t channel = 0; channel < 8; ++channel)
    study.facts.outlier_features.push_back({Site::kResidual, channel, 1, 1, 8, static_cast<double>(channel)});
  EXPECT_THAT(
      printed(study),
      AllOf(HasSubstr("channel 7 of residual"), HasSubstr("channel 2 of residual"),
            Not(HasSubstr("channel 1 of residual")),
            HasSubstr("... and 2 more of its 10 channels: magnitudes of 6 and more are nothing special there")));
  study.facts.sites[{Site::kResidual, 0}].channels = 100;
  EXPECT_THAT(printed(study), HasSubstr("... and 2 more of its 100 channels\n"));
  study.facts.outlier_features.resize(6);
  EXPECT_THAT(printed(study), Not(HasSubstr("more of its")));
}

}  // namespace
}  // namespace vernier
