#include "run/run_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/hash.h"
#include "base/output_file.h"
#include "support/scratch.h"
#include "vernier/error.h"

namespace vernier {
namespace {

namespace fs = std::filesystem;

class RunFolder : public ::testing::Test {
 protected:
  fs::path work_ = scratch_path("vernier_run_directory");
  void SetUp() override {
    fs::remove_all(work_);
    fs::create_directories(work_);
  }
  void TearDown() override { fs::remove_all(work_); }
};

TEST_F(RunFolder, AStageRunsAgainOnlyWhenItsInputsOrArtefactChanged) {
  int runs = 0;
  const auto stage = [&](const std::string& key) {
    RunDirectory directory(work_, "model", false);
    return directory.stage("s", key, "a.txt", [&](const fs::path& path) {
      ++runs;
      write_file(path, "x");
    });
  };
  EXPECT_TRUE(stage("k1"));
  EXPECT_FALSE(stage("k1"));
  EXPECT_TRUE(stage("k2"));
  write_file(work_ / "a.txt", "tampered");
  EXPECT_TRUE(stage("k2"));
  write_file(work_ / "manifest.json", "{ broken");
  EXPECT_TRUE(stage("k2"));
  for (const char* damaged : {R"({"stages": {"s": 3}})", R"({"stages": {"s": {"key": ["k2"]}}, "model": 5})",
                              R"({"stages": {}, "model": {"hash": 7}})"}) {
    write_file(work_ / "manifest.json", damaged);
    EXPECT_TRUE(stage("k2")) << damaged;
  }
  EXPECT_EQ(runs, 7);
}

TEST_F(RunFolder, BelongsToOneModelAndOneProcess) {
  const auto refused = [&](ErrorKind kind, const char* part, const char* model) {
    try {
      RunDirectory(work_, model, false);
      ADD_FAILURE() << "took the folder over";
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), kind);
      EXPECT_THAT(e.what(), ::testing::HasSubstr(part));
    }
  };
  {
    RunDirectory directory(work_, "first", false);
    directory.facts()["model"] = {{"name", "tiny"}, {"hash", "first"}};
    directory.save();
    refused(ErrorKind::kIo, "another run is writing", "first");
  }
  refused(ErrorKind::kInvalidArgument, "another model, tiny", "second");
  RunDirectory replaced(work_, "second", true);
}

TEST_F(RunFolder, OnlyWhatAKilledRunWasWritingIsClearedAway) {
  const auto touch = [&](const char* name) {
    write_file(work_ / name, "x");
    return work_ / name;
  };
  const fs::path download = touch("movie.partial"), deep = touch("films/b.4711.partial"), early = touch("a.12.partial");
  RunDirectory(work_, "model", false).save();
  EXPECT_TRUE(fs::exists(early)) << "no run was here yet";
  const fs::path left = touch("work/model.gguf.4711.partial");
  RunDirectory again(work_, "model", false);
  EXPECT_FALSE(fs::exists(left));
  EXPECT_FALSE(fs::exists(early));
  EXPECT_TRUE(fs::exists(download));
  EXPECT_TRUE(fs::exists(deep));
}

TEST_F(RunFolder, ReadsAnArtefactOnceForAllItsHashes) {
  RunDirectory directory(work_, "model", false);
  const auto make = [](const fs::path& path) { write_file(path, std::string(100'000, 'x')); };
  const uint64_t before = hashed_bytes();
  directory.stage("s", "k", "a.txt", make);
  for (int i = 0; i < 3; ++i) directory.hash("a.txt");
  EXPECT_FALSE(directory.stage("s", "k", "a.txt", make));
  EXPECT_EQ(hashed_bytes() - before, 100'000u);
}

}  // namespace
}  // namespace vernier
