#pragma once

// One sequence per thread: the loop over windows is the only parallel one, everything inside runs single-threaded, so
// one thread and N threads give the same bits and no barrier waits for the slowest.

#include <omp.h>

#include <atomic>
#include <cstdint>
#include <exception>

namespace vernier {

/// Calls fn(item, worker) for items 0..count-1 in any order on up to `threads` workers (0 <= worker < threads).
/// The first exception is rethrown after all workers have stopped.
template <class Fn>
void parallel_for(int64_t count, int threads, Fn&& fn) {
  std::exception_ptr error;
  std::atomic<bool> stop{false};
#pragma omp parallel num_threads(threads)
  {
    // Also with a team of one, which OpenMP does not count as "in parallel": libraries below must not spawn threads.
    omp_set_num_threads(1);
    const int worker = omp_get_thread_num();
#pragma omp for schedule(dynamic, 1)
    for (int64_t item = 0; item < count; ++item) {
      if (stop.load(std::memory_order_relaxed)) continue;
      try {
        fn(item, worker);
      } catch (...) {
#pragma omp critical(vernier_parallel_error)
        if (!error) error = std::current_exception();
        stop = true;
      }
    }
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace vernier
