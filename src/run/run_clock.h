#pragma once

// Where a run is in time: what its stages took, what those to come are foretold to take, and whether there is time to
// refine it further.
//
//   clock.run("screen", progress, [&] { save_screen(screen(...), path); });
//   if (clock.has_time_for("confirm", seconds)) ...

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "vernier/progress.h"
#include "vernier/run.h"

namespace vernier {

class RunClock {
 public:
  /// @param max_minutes 0: no limit
  /// @param foretold all stages of the run in their order; none: nothing is foretold
  RunClock(double max_minutes, std::vector<RunForecast::Stage> foretold);

  /// `make` is (a part of) `stage`.
  void run(const std::string& stage, ProgressSink& progress, const std::function<void()>& make);

  /// Whether `seconds` more of `stage` leave what follows enough time.
  bool has_time_for(const std::string& stage, double seconds) const;
  /// What a stage to come will take, by the pace of those that are over; 0 where nothing is foretold.
  double seconds_of(const std::string& stage) const;
  /// Those that ran, in their order.
  const std::vector<StageTime>& times() const { return times_; }
  double seconds() const;

 private:
  /// What the stages after this one will take, by the pace of those that are over.
  double foretold_after(const std::string& stage) const;
  /// Seconds taken over seconds foretold, of the stages that are over.
  double pace() const;

  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  double limit_;
  std::vector<RunForecast::Stage> foretold_;
  std::vector<StageTime> times_;
};

}  // namespace vernier
