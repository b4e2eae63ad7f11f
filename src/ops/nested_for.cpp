#include "ops/nested_for.h"

#include <omp.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <utility>
#include <vector>

namespace vernier {

namespace {

struct Loop {
  const std::function<void(int64_t)>& fn;
  int64_t count;
  const int64_t bytes;
  const Loop* const around;  // of whose items it is a part; nullptr: the outermost
  int64_t next = 0, running = 0;
  std::exception_ptr error = {};

  int depth() const { return around == nullptr ? 0 : around->depth() + 1; }
  bool within(const Loop& outer) const {
    for (const Loop* loop = this; loop != nullptr; loop = loop->around)
      if (loop == &outer) return true;
    return false;
  }
  bool ended() const { return next >= count && running == 0; }
};

/// Threads of an outermost loop. Its mutex guards all of its loops.
class Team {
 public:
  /// Returns once the loop has ended.
  void run(Loop& loop);
  /// Takes items of the loop, and of those inside it, until it has ended.
  void help(const Loop& outer);
  void open(Loop& loop);

 private:
  /// The outermost loop that has an item to begin, since those are the large ones; of several the oldest.
  Loop* loop_with_item(const Loop& outer) const;
  void run_item(Loop& loop, std::unique_lock<std::mutex>& lock);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Loop*> open_;  // by depth, then by age
  int64_t bytes_ = 0;        // held
};

/// Where a thread is.
struct Place {
  Team* team = nullptr;
  Loop* loop = nullptr;
};
thread_local Place place_of_thread;

void Team::open(Loop& loop) {
  const std::lock_guard lock(mutex_);
  open_.insert(std::ranges::upper_bound(open_, loop.depth(), {}, &Loop::depth), &loop);
  changed_.notify_all();
}

void Team::run(Loop& loop) {
  open(loop);
  help(loop);
  const std::lock_guard lock(mutex_);
  std::erase(open_, &loop);
}

void Team::help(const Loop& outer) {
  std::unique_lock lock(mutex_);
  while (!outer.ended())
    if (Loop* loop = loop_with_item(outer))
      run_item(*loop, lock);
    else
      changed_.wait(lock);
}

Loop* Team::loop_with_item(const Loop& outer) const {
  const auto found = std::ranges::find_if(open_, [&](const Loop* loop) {
    return loop->next < loop->count && (loop->running == 0 || bytes_ + loop->bytes <= kNestedBytes) &&
           loop->within(outer);
  });
  return found != open_.end() ? *found : nullptr;
}

void Team::run_item(Loop& loop, std::unique_lock<std::mutex>& lock) {
  const int64_t item = loop.next++, held = loop.running++ == 0 ? 0 : loop.bytes;
  bytes_ += held;
  lock.unlock();
  std::exception_ptr error;
  const Place before = std::exchange(place_of_thread, {this, &loop});
  try {
    loop.fn(item);
  } catch (...) {
    error = std::current_exception();
  }
  place_of_thread = before;
  lock.lock();
  bytes_ -= held;
  --loop.running;
  if (error && !loop.error) loop.error = error;
  if (error) loop.next = loop.count;
  if (held > 0 || loop.ended()) changed_.notify_all();
}

}  // namespace

void nested_for(int64_t count, int threads, const std::function<void(int64_t)>& fn, int64_t bytes) {
  const Place place = place_of_thread;
  Loop loop{fn, count, bytes, place.loop};
  if (place.team != nullptr) {
    place.team->run(loop);
  } else {
    Team team;
    team.open(loop);
    // Inside another parallel region, where OpenMP nests none, a team of one.
#pragma omp parallel num_threads(threads)
    {
      omp_set_num_threads(1);  // libraries below must not spawn threads, also with a team of one
      team.help(loop);
    }
  }
  if (loop.error) std::rethrow_exception(loop.error);
}

}  // namespace vernier
