#include "cli/calibration_argument.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/output_file.h"
#include "cli/cli.h"
#include "support/models.h"
#include "support/scratch.h"

namespace vernier {
namespace {

namespace fs = std::filesystem;

class CalibrationOption : public ::testing::Test {
 protected:
  fs::path work_ = scratch_path("vernier_calibration_option");
  std::string demo_ = (source_dir() / "models/demo-5m").string(), text_ = (work_ / "text.txt").string(),
              artefact_ = (work_ / "artefact").string(), new_file_ = (work_ / "new").string();
  void SetUp() override {
    fs::remove_all(work_);
    write_file(text_, "some text, and {\"more\": of it}\n");
    save_calibration({}, artefact_);  // told by its bytes, whatever its name
  }
  void TearDown() override { fs::remove_all(work_); }

  static std::string refused(const std::vector<std::string>& arguments) {
    std::vector<const char*> argv{"vernier", "--quiet"};
    for (const std::string& a : arguments) argv.push_back(a.c_str());
    ::testing::internal::CaptureStderr();
    EXPECT_EQ(run_cli(static_cast<int>(argv.size()), argv.data()), 2) << ::testing::PrintToString(arguments);
    return ::testing::internal::GetCapturedStderr();
  }
};

TEST_F(CalibrationOption, IsTheArtefactEverywhere) {
  for (const auto& command : std::vector<std::vector<std::string>>{
           {"diagnose", demo_, "--calibration", text_, "-o", new_file_},
           {"quantize", demo_, "--scheme", "int4", "--calibration", text_, "-o", new_file_},
           {"export", demo_, "--scheme", "gguf:q4_k", "--calibration", text_, "-o", new_file_}})
    EXPECT_THAT(refused(command), ::testing::HasSubstr("vernier calibrate MODEL --calibration-text " + text_))
        << command[0];
  for (const char* command : {"run", "calibrate"})
    for (const std::string& file : {text_, artefact_})
      EXPECT_THAT(refused({command, demo_, "--calibration", file, "-o", new_file_}),
                  ::testing::HasSubstr("--calibration-text names the text"))
          << command;
  EXPECT_FALSE(fs::exists(new_file_));
}

TEST_F(CalibrationOption, TextIsNoArtefact) {
  for (const char* command : {"run", "calibrate"})
    EXPECT_THAT(refused({command, demo_, "--calibration-text", artefact_, "-o", new_file_}),
                ::testing::HasSubstr("--calibration of diagnose, quantize and export takes"))
        << command;
  EXPECT_FALSE(fs::exists(new_file_));
}

}  // namespace
}  // namespace vernier
