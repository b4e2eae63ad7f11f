// What subcommands write: never onto what they read, known to be possible before anything is computed, and as JSON
// wherever --json exists.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/json.h"
#include "base/output_file.h"
#include "cli/cli.h"
#include "support/models.h"
#include "support/scratch.h"

namespace vernier {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class CommandOutputs : public ::testing::Test {
 protected:
  fs::path work_ = scratch_path("vernier_command_outputs");
  std::string demo_ = (source_dir() / "models/demo-5m").string();
  void SetUp() override {
    fs::remove_all(work_);
    fs::create_directories(work_);
  }
  void TearDown() override { fs::remove_all(work_); }
  std::string at(const std::string& name) const { return (work_ / name).string(); }

  static int run(const std::vector<std::string>& arguments, std::string* error = nullptr) {
    std::vector<const char*> argv{"vernier", "--quiet"};
    for (const std::string& a : arguments) argv.push_back(a.c_str());
    ::testing::internal::CaptureStderr();
    ::testing::internal::CaptureStdout();
    const int code = run_cli(static_cast<int>(argv.size()), argv.data());
    ::testing::internal::GetCapturedStdout();
    const std::string said = ::testing::internal::GetCapturedStderr();
    if (error != nullptr) *error = said;
    return code;
  }
};

/// In what a run directory keeps to itself.
const std::string kRunText = (fs::path("run") / "work" / "text.txt").string();

TEST_F(CommandOutputs, AreNeverInputs) {
  for (const std::string& name : std::vector<std::string>{
           "m.gguf", "c", "d", "p", "t.txt", "i", "r.recipe", "folder/config.json", "folder/model.safetensors",
           "run/manifest.json", "run/plan.json", "run/model.gguf", kRunText})
    write_file(at(name), "precious");
  fs::create_symlink("m.gguf", at("link"));
  fs::create_hard_link(at("c"), at("hard"));
  fs::create_symlink(at("folder"), at("other"));
  const std::string m = at("m.gguf"), c = at("c"), d = at("d"), t = at("t.txt"), i = at("i"), r = at("r.recipe"),
                    new_file = at("new");
  const std::vector<std::vector<std::string>> commands = {
      {"inspect", m, "--json", m},
      {"calibrate", m, "-o", m},
      {"calibrate", m, "-o", at("link")},
      {"calibrate", m, "--calibration-text", t, "-o", t},
      {"calibrate", m, "-o", new_file, "--json", at("link")},
      {"calibrate", at("folder"), "-o", at("other/model.safetensors")},
      {"diagnose", m, "--calibration", c, "-o", c},
      {"diagnose", m, "--calibration", c, "--data", t, "-o", new_file, "--json", at("hard")},
      {"plan", m, "--diagnosis", d, "-o", d},
      {"plan", m, "--diagnosis", d, "-o", new_file, "--recipe", at("./d")},
      {"plan", m, "--diagnosis", d, "-o", new_file, "--recipe", new_file},
      {"export", m, "--scheme", "gguf:q4_k", "--calibration", c, "-o", m},
      {"export", m, "--scheme", "gguf:q4_k", "--calibration", c, "-o", at("hard")},
      {"export", m, "--plan", at("p"), "--calibration", c, "-o", at("p")},
      {"export", m, "--recipe", r, "--calibration", c, "-o", new_file, "--json", r},
      {"quantize", at("folder"), "--scheme", "int4", "--calibration", c, "-o", at("folder")},
      {"quantize", at("folder"), "--scheme", "int4", "--calibration", c, "-o", at("other/")},
      {"evaluate", m, "--json", m},
      {"evaluate", at("folder"), "--reference", m, "--json", m},
      {"evaluate", m, "--data", t, "--token-log", t},
      {"evaluate", m, "--groups", t, "--json", t},
      {"evaluate", m, "--reliability", "--with", at("folder"), "-o", at("folder/model.safetensors")},
      {"groups", m, "--data", "en=" + t, "-o", t},
      {"logits", m, "--input", i, "-o", i},
      {"logits", m, "--input", i, "-o", m},
      {"report", at("run"), "-o", at("run/plan.json")},
      {"run", at("run/model.gguf"), "-o", at("run")},
      {"run", m, "--data", at(kRunText), "-o", at("run")},
      {"run", at("folder"), "-o", at("other")},
  };
  for (const auto& command : commands) {
    std::string error;
    EXPECT_EQ(run(command, &error), 2) << ::testing::PrintToString(command) << error;
    EXPECT_THAT(error, ::testing::AnyOf(HasSubstr("the command reads; name another output"), HasSubstr("are both")))
        << ::testing::PrintToString(command);
  }
  for (const char* name : {"m.gguf", "c", "d", "p", "t.txt", "i", "r.recipe", "folder/model.safetensors",
                           "run/plan.json", "run/model.gguf"})
    EXPECT_EQ(read_file(at(name)), "precious") << name;
  EXPECT_FALSE(fs::exists(new_file));
}

// Before the model is even opened: it is not there.
TEST_F(CommandOutputs, ThatCannotBeWrittenAreKnownBeforeAnythingIsComputed) {
  write_file(at("file"), "");
  for (const char* name : {"c", "d"}) write_file(at(name), "");
  const std::string missing = at("missing.gguf");
  for (const auto& command : std::vector<std::vector<std::string>>{
           {"run", missing, "-o", at("file/out")},
           {"run", missing, "-o", "/proc/vernier"},
           {"run", missing, "-o", at("out"), "--json", at("file/x.json")},
           {"calibrate", missing, "-o", at("file/c")},
           {"calibrate", missing, "-o", work_.string()},
           {"diagnose", missing, "--calibration", at("c"), "-o", "/proc/vernier/d.json"},
           {"export", missing, "--scheme", "f16", "--calibration", at("c"), "-o", at("file/m.gguf")},
           {"evaluate", missing, "--token-log", at("file/log")},
           {"quantize", missing, "--scheme", "int4", "--calibration", at("c"), "-o", at("file/q")}}) {
    std::string error;
    EXPECT_EQ(run(command, &error), 1) << ::testing::PrintToString(command);
    EXPECT_THAT(error, HasSubstr("cannot write")) << ::testing::PrintToString(command);
  }
  EXPECT_FALSE(fs::exists(at("out")));
}

TEST_F(CommandOutputs, DryRunsSayWhatTheySayAsJsonToo) {
  write_file(at("c"), "");
  for (const auto& command : std::vector<std::vector<std::string>>{
           {"run", demo_},
           {"diagnose", demo_, "--calibration", at("c")},
           {"export", demo_, "--scheme", "gguf:q4_k"},
           {"quantize", demo_, "--scheme", "int4", "--calibration", at("c"), "-o", at("q")}}) {
    std::vector<std::string> with_json = command;
    with_json.insert(with_json.end(), {"--dry-run", "--json", at("dry.json")});
    EXPECT_EQ(run(with_json), 0) << command[0];
    EXPECT_TRUE(fs::exists(at("dry.json"))) << command[0];
    EXPECT_FALSE(read_json(at("dry.json")).empty()) << command[0];
    fs::remove(at("dry.json"));
  }
  EXPECT_FALSE(fs::exists(at("q")));
}

TEST_F(CommandOutputs, ABudgetThatNothingMeetsIsRefusedFirst) {
  std::string error;
  EXPECT_EQ(run({"run", demo_, "--budget", "1bpw", "-o", at("out")}, &error), 3);
  EXPECT_THAT(error, HasSubstr("smallest file for llama.cpp is "));
  EXPECT_FALSE(fs::exists(at("out"))) << "nothing was begun";
  EXPECT_EQ(run({"run", demo_, "--budget", "1bpw", "--dry-run"}), 3);
}

}  // namespace
}  // namespace vernier
