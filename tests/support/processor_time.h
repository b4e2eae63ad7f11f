#pragma once

// For tests that something is not slow: other processes on the machine do not count.

#include <ctime>

namespace vernier {

/// Of all threads of this process, since it began.
inline double processor_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

}  // namespace vernier
