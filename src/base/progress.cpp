#include "base/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/terminal.h"

namespace vernier {

namespace {
double seconds_between(std::chrono::steady_clock::time_point a, std::chrono::steady_clock::time_point b) {
  return std::chrono::duration<double>(b - a).count();
}
std::string short_time(double seconds) {
  const auto s = std::llround(seconds);
  return s < 60 ? fmt::format("{}s", s) : fmt::format("{}m{:02}s", s / 60, s % 60);
}
/// Per second, as many digits as tell it from 0.
std::string pace(double rate) { return rate < 0.95 ? fmt::format("{:.2g}", rate) : fmt::format("{:.1f}", rate); }
}  // namespace

ConsoleProgress::ConsoleProgress(std::FILE* stream, bool quiet)
    : stream_(stream), quiet_(quiet), terminal_(is_terminal(stream)) {}

void ConsoleProgress::begin(std::string_view stage, int64_t total, std::string_view unit) {
  stage_ = stage;
  unit_ = unit;
  total_ = total;
  done_ = 0;
  start_ = last_ = Clock::now();
  if (!quiet_ && !terminal_) {
    say(stream_, fmt::format("{}: {} {}\n", stage_, total_, unit_));
  }
}

void ConsoleProgress::update(int64_t done) {
  done_ = done;
  // A line a quarter minute keeps a log readable; a bar five times a second looks alive.
  const auto now = Clock::now();
  if (quiet_ || seconds_between(last_, now) < (terminal_ ? 0.2 : 15.0)) return;
  last_ = now;
  draw(done);
}

void ConsoleProgress::draw(int64_t done) {
  const double elapsed = seconds_between(start_, Clock::now());
  const double rate = elapsed > 0 ? static_cast<double>(done) / elapsed : 0;
  const double seconds_left = rate > 0 ? static_cast<double>(total_ - done) / rate : -1;
  std::string left = rate > 0 ? short_time(seconds_left) + " left" : "? left";
  if (rate > 0 && after_ > 0) left += fmt::format(", {} in all", short_time(seconds_left + after_));
  if (terminal_) {
    constexpr int kWidth = 24;
    const int filled = total_ > 0 ? static_cast<int>(std::min<int64_t>(kWidth, done * kWidth / total_)) : kWidth;
    say(stream_, fmt::format("\r\033[K{:<10} [{}{}] {}/{} {}  {}/s  {}", stage_, std::string(filled, '#'),
                             std::string(kWidth - filled, '.'), done, total_, unit_, pace(rate), left));
  } else {
    say(stream_, fmt::format("{}: {}/{} {}, {}/s, {}\n", stage_, done, total_, unit_, pace(rate), left));
  }
}

void ConsoleProgress::end() {
  if (quiet_) return;
  const std::string took = short_time(seconds_between(start_, Clock::now()));
  say(stream_, fmt::format("{}{}: {} {} in {}\n", terminal_ ? "\r\033[K" : "", stage_, done_, unit_, took));
}

void ConsoleProgress::warn(std::string_view message) {
  if (!warned_.emplace(message).second) return;
  say(stream_, fmt::format("{}warning: {}\n", terminal_ ? "\r\033[K" : "", plainly(message)));
}

}  // namespace vernier
