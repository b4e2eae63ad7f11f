#include "run/run_clock.h"

#include <sys/resource.h>

#include <algorithm>
#include <ctime>

namespace vernier {

namespace {

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

uint64_t peak_resident_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace

RunClock::RunClock(double max_minutes, std::vector<RunForecast::Stage> foretold)
    : limit_(60 * max_minutes), foretold_(std::move(foretold)) {}

double RunClock::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

void RunClock::run(const std::string& stage, ProgressSink& progress, const std::function<void()>& make) {
  if (!foretold_.empty()) progress.expect_after(foretold_after(stage));
  const double began = seconds(), cpu_began = cpu_seconds();
  make();
  auto time = std::find_if(times_.begin(), times_.end(), [&](const StageTime& t) { return t.stage == stage; });
  if (time == times_.end()) time = times_.insert(times_.end(), {stage});
  time->seconds += seconds() - began;
  time->cpu_seconds += cpu_seconds() - cpu_began;
  time->peak_bytes = peak_resident_bytes();
}

bool RunClock::has_time_for(const std::string& stage, double more) const {
  return limit_ <= 0 || seconds() + more + foretold_after(stage) <= limit_;
}

double RunClock::seconds_of(const std::string& stage) const {
  const auto found = std::find_if(foretold_.begin(), foretold_.end(), [&](const auto& f) { return f.stage == stage; });
  return found == foretold_.end() ? 0 : pace() * found->seconds;
}

double RunClock::foretold_after(const std::string& stage) const {
  const auto here = std::find_if(foretold_.begin(), foretold_.end(), [&](const auto& f) { return f.stage == stage; });
  if (here == foretold_.end()) return 0;
  double after = 0;
  for (auto next = here + 1; next != foretold_.end(); ++next) after += next->seconds;
  return pace() * after;
}

double RunClock::pace() const {
  double took = 0, foretold = 0;
  for (const StageTime& time : times_)
    for (const RunForecast::Stage& stage : foretold_)
      if (stage.stage == time.stage) {
        took += time.seconds;
        foretold += stage.seconds;
      }
  // Short stages say little of the machine.
  constexpr double kTelling = 5, kMost = 4;
  return foretold < kTelling ? 1 : std::clamp(took / foretold, 1 / kMost, kMost);
}

}  // namespace vernier
