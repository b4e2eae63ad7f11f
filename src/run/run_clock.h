#pragma once

// How long a run has been going, and whether there is time to refine it further.

#include <chrono>

namespace vernier {

class RunClock {
 public:
  /// @param max_minutes 0: no limit
  explicit RunClock(double max_minutes) : limit_(60 * max_minutes) {}
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }
  bool has_time() const { return limit_ <= 0 || seconds() < limit_; }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  double limit_;
};

}  // namespace vernier
