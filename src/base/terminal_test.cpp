#include "base/terminal.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "base/progress.h"

namespace vernier {
namespace {

TEST(Plainly, NothingMovesTheCursor) {
  EXPECT_EQ(plainly("x\x1b]0;pwned\a\x7f"), "x\\x1b]0;pwned\\x07\\x7f");
  EXPECT_EQ(plainly("a\u009b31m\u0085b\u00a0"), "a\\xc2\\x9b31m\\xc2\\x85b\u00a0");  // as some terminals read them
  EXPECT_EQ(plainly("two\n\tlines, \u00e9 \u6f22"), "two\n\tlines, \u00e9 \u6f22");
}

TEST(TerminalWidth, FilesHaveNone) {
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  ::setenv("COLUMNS", "80", 1);
  EXPECT_FALSE(is_terminal(file));
  EXPECT_EQ(terminal_width(file), 0);
  std::fclose(file);
}

TEST(TerminalWidth, ColumnsGoBeforeWhatTheTerminalSays) {
  const int keyboard = ::posix_openpt(O_RDWR | O_NOCTTY);
  if (keyboard < 0 || ::grantpt(keyboard) != 0 || ::unlockpt(keyboard) != 0) GTEST_SKIP() << "no pseudo-terminals here";
  const int screen = ::open(::ptsname(keyboard), O_RDWR | O_NOCTTY);
  ASSERT_GE(screen, 0);
  std::FILE* stream = ::fdopen(screen, "w");
  const winsize size{.ws_row = 24, .ws_col = 97, .ws_xpixel = 0, .ws_ypixel = 0};
  ASSERT_EQ(::ioctl(screen, TIOCSWINSZ, &size), 0);
  ::unsetenv("COLUMNS");
  EXPECT_TRUE(is_terminal(stream));
  EXPECT_EQ(terminal_width(stream), 97);
  ::setenv("COLUMNS", "64", 1);
  EXPECT_EQ(terminal_width(stream), 64);
  for (const char* nonsense : {"", "0", "-3", "wide", "80x", "99999999999"}) {
    ::setenv("COLUMNS", nonsense, 1);
    EXPECT_EQ(terminal_width(stream), 97) << nonsense;
  }
  ::unsetenv("COLUMNS");
  std::fclose(stream);
  ::close(keyboard);
}

// A full disk under a log is no reason to end.
TEST(ConsoleProgress, WhatCannotBeSaidIsNotSaid) {
  std::FILE* const full = std::fopen("/dev/full", "w");
  ASSERT_NE(full, nullptr);
  ConsoleProgress progress(full, false);
  progress.begin("stage", 2, "things");
  progress.update(1);
  progress.warn("something");
  progress.end();
  std::fclose(full);
}

}  // namespace
}  // namespace vernier
