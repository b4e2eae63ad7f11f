#include "base/output_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <thread>

#include "base/file_identity.h"
#include "support/scratch.h"
#include "vernier/error.h"

namespace vernier {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class OutputFileTest : public ::testing::Test {
 protected:
  fs::path folder_ = scratch_path("vernier_output_file_test");
  void SetUp() override {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  size_t entries() const { return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), {})); }

  template <class Run>
  static void expect_io_error(const std::string& part, Run&& run) {
    try {
      run();
      ADD_FAILURE() << "expected an error that says " << part;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kIo);
      EXPECT_THAT(e.what(), HasSubstr(part));
    }
  }
};

TEST_F(OutputFileTest, AppearsOnlyWhenCommitted) {
  const fs::path path = folder_ / "a" / "plan.json";
  {
    OutputFile file(path);
    file.write("half");
    EXPECT_FALSE(fs::exists(path));
  }
  EXPECT_FALSE(fs::exists(path));
  EXPECT_TRUE(fs::is_empty(path.parent_path())) << "an abandoned file leaves no temporary";
  write_file(path, "whole");
  EXPECT_EQ(read_file(path), "whole");
}

TEST_F(OutputFileTest, AFailedRewriteKeepsTheOldFile) {
  const fs::path path = folder_ / "plan.json";
  write_file(path, "old");
  { OutputFile(path).write("new, never committed"); }
  EXPECT_EQ(read_file(path), "old");
  EXPECT_EQ(entries(), 1u);
}

TEST_F(OutputFileTest, ReadRefusesWhatIsNotAFile) {
  expect_io_error("missing", [&] { read_file(folder_ / "missing"); });
  expect_io_error("regular file", [&] { read_file(folder_); });
}

TEST_F(OutputFileTest, PipesAreReadToTheirEnd) {
  const fs::path pipe = folder_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const std::string text(200'000, 'x');
  std::thread writer([&] { write_file(pipe, text); });
  EXPECT_EQ(read_file(pipe), text);
  writer.join();
}

// The target is replaced, not the link, also where it is not there yet.
TEST_F(OutputFileTest, LinksAreFollowed) {
  write_file(folder_ / "store" / "real.json", "old");
  fs::create_symlink("store/real.json", folder_ / "link.json");
  fs::create_symlink(folder_ / "link.json", folder_ / "second.json");
  fs::create_symlink("store/new.json", folder_ / "dangling.json");
  write_file(folder_ / "second.json", "new");
  write_file(folder_ / "dangling.json", "first");
  EXPECT_TRUE(fs::is_symlink(folder_ / "second.json"));
  EXPECT_TRUE(fs::is_symlink(folder_ / "link.json"));
  EXPECT_TRUE(fs::is_symlink(folder_ / "dangling.json"));
  EXPECT_EQ(read_file(folder_ / "store" / "real.json"), "new");
  EXPECT_EQ(read_file(folder_ / "store" / "new.json"), "first");
  fs::create_symlink("round.json", folder_ / "round.json");
  expect_io_error("symbolic links", [&] { write_file(folder_ / "round.json", "x"); });
}

TEST_F(OutputFileTest, ModeIsKept) {
  const fs::path path = folder_ / "private.json";
  write_file(path, "old");
  ::chmod(path.c_str(), 0640);
  write_file(path, "new");
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0640u);
  if (::geteuid() != 0) GTEST_SKIP() << "only the superuser can give files away";
  ASSERT_EQ(::chown(path.c_str(), 12345, 23456), 0);
  write_file(path, "newer");
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 12345u);
  EXPECT_EQ(info.st_gid, 23456u);
  EXPECT_EQ(info.st_mode & 07777, 0640u);
}

TEST_F(OutputFileTest, DevicesAndPipesAreWrittenThrough) {
  write_file("/dev/null", "nothing");
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  fs::create_symlink("/dev/null", folder_ / "null");
  write_file(folder_ / "null", "nothing");
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  EXPECT_TRUE(fs::is_symlink(folder_ / "null"));

  const fs::path pipe = folder_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  std::string got(7, '\0');
  std::thread reader([&] {
    const int fd = ::open(pipe.c_str(), O_RDONLY | O_CLOEXEC);
    size_t done = 0;
    while (done < got.size()) {
      const ssize_t n = ::read(fd, got.data() + done, got.size() - done);
      if (n <= 0) break;
      done += static_cast<size_t>(n);
    }
    ::close(fd);
  });
  write_file(pipe, "through");
  reader.join();
  EXPECT_EQ(got, "through");
  EXPECT_TRUE(fs::is_fifo(pipe));
}

TEST_F(OutputFileTest, WhatCannotBeAFileIsRefused) {
  expect_io_error("folder", [&] { write_file(folder_, "x"); });
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (folder_ / "s").string().copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  expect_io_error("socket", [&] { write_file(folder_ / "s", "x"); });
  ::close(fd);
}

TEST_F(OutputFileTest, OneFileByAllItsNames) {
  const fs::path path = folder_ / "model.gguf";
  write_file(path, "weights");
  fs::create_symlink(path, folder_ / "link");
  fs::create_hard_link(path, folder_ / "hard");
  write_file(folder_ / "copy", "weights");
  EXPECT_TRUE(same_file(path, folder_ / "link"));
  EXPECT_TRUE(same_file(folder_ / "hard", folder_ / "link"));
  EXPECT_TRUE(same_file(path, folder_ / "." / "model.gguf"));
  EXPECT_FALSE(same_file(path, folder_ / "copy"));
  EXPECT_FALSE(same_file(path, folder_ / "missing"));
  EXPECT_FALSE(same_file(folder_ / "missing", folder_ / "missing"));
}

TEST_F(OutputFileTest, WhatCannotBeWrittenIsKnownBeforehand) {
  write_file(folder_ / "file", "");
  require_writable(folder_ / "a" / "b" / "new.json");
  require_writable(folder_ / "file");
  require_writable("/dev/null");
  require_writable_folder(folder_ / "a" / "b");
  EXPECT_EQ(entries(), 1u) << "asking leaves nothing behind";
  expect_io_error("not a folder", [&] { require_writable(folder_ / "file" / "x.json"); });
  expect_io_error("not a folder", [&] { require_writable_folder(folder_ / "file"); });
  expect_io_error("folder", [&] { require_writable(folder_); });
  expect_io_error("/proc", [&] { require_writable_folder("/proc/vernier"); });
  if (::geteuid() == 0) return;  // whom no mode stops
  fs::permissions(folder_, fs::perms::owner_read | fs::perms::owner_exec);
  expect_io_error("Permission denied", [&] { require_writable(folder_ / "new.json"); });
  fs::permissions(folder_, fs::perms::owner_all);
}

// Of a signal: a child writes half a file and is ended.
TEST_F(OutputFileTest, WhatIsHalfWrittenGoesWithTheProgram) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::signal(signal, SIG_DFL);
      remove_partial_files_when_ended();
      OutputFile file(folder_ / "half");
      file.write(std::string_view("half"));
      ::raise(signal);
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == signal);
    EXPECT_TRUE(fs::is_empty(folder_)) << signal;
  }
}

}  // namespace
}  // namespace vernier
