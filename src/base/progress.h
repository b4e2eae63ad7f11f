#pragma once

// Progress for people: a bar with rate and time left on a terminal, sparse lines elsewhere.

#include <chrono>
#include <cstdio>
#include <set>
#include <string>

#include "vernier/progress.h"

namespace vernier {

class ConsoleProgress : public ProgressSink {
 public:
  explicit ConsoleProgress(std::FILE* stream, bool quiet = false);
  /// Where it is known, how long everything will take is said beside what is left of the stage.
  void expect_after(double seconds) override { after_ = seconds; }
  void begin(std::string_view stage, int64_t total, std::string_view unit) override;
  void update(int64_t done) override;
  void end() override;
  /// Each message once, however many parts of a run come upon it.
  void warn(std::string_view message) override;

 private:
  using Clock = std::chrono::steady_clock;
  void draw(int64_t done);

  std::FILE* stream_;
  bool quiet_;
  bool terminal_;
  std::string stage_, unit_;
  std::set<std::string, std::less<>> warned_;
  int64_t total_ = 0, done_ = 0;
  double after_ = -1;  // seconds; below 0: not known
  Clock::time_point start_, last_;
};

}  // namespace vernier
