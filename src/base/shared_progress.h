#pragma once

// Progress from inside a parallel loop: one call of the sink at a time, and what a sink throws to cancel the stage goes
// the way of any exception of the loop's body (parallel_for carries it out of the region).

#include <cstdint>
#include <mutex>

#include "vernier/progress.h"

namespace vernier {

class SharedProgress {
 public:
  /// `sink` may be nullptr. @param per_unit parts that make one of what the sink counts
  explicit SharedProgress(ProgressSink* sink, int64_t per_unit = 1) : sink_(sink), per_unit_(per_unit) {}

  /// `parts` more are done; from any thread. A sink that has thrown is not called again.
  void add(int64_t parts) {
    const std::lock_guard<std::mutex> lock(mutex_);  // not `omp critical`: no exception may leave that
    done_ += parts;
    if (sink_ == nullptr || cancelled_) return;
    cancelled_ = true;  // and stays so when the sink throws
    sink_->update(done_ / per_unit_);
    cancelled_ = false;
  }

 private:
  ProgressSink* sink_;
  int64_t per_unit_;
  std::mutex mutex_;
  int64_t done_ = 0;
  bool cancelled_ = false;
};

}  // namespace vernier
