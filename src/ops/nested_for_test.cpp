#include "ops/nested_for.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "ops/parallel.h"

namespace vernier {
namespace {

// Stands for work while others take their items.
void a_moment() { std::this_thread::sleep_for(std::chrono::milliseconds(2)); }

TEST(NestedFor, EveryItemOfLoopsWithinLoopsRunsOnceWithLibrariesSingleThreaded) {
  for (const int threads : {1, 2, 5}) {
    std::vector<std::atomic<int>> visits(4 * 3 * 5);
    nested_for(4, threads, [&](int64_t i) {
      nested_for(3, threads, [&](int64_t j) {
        nested_for(5, threads, [&](int64_t k) {
          EXPECT_EQ(omp_get_max_threads(), 1);
          ++visits[static_cast<size_t>((i * 3 + j) * 5 + k)];
        });
      });
    });
    for (const auto& count : visits) EXPECT_EQ(count, 1) << threads;
    nested_for(0, threads, [](int64_t) { ADD_FAILURE() << "a loop of nothing"; });
  }
}

TEST(NestedFor, ThreadsThatTheOuterLoopHasNothingForTakeInnerItems) {
  std::atomic<int> inside{0};
  nested_for(1, 2, [&](int64_t) {
    nested_for(2, 2, [&](int64_t) {
      ++inside;
      while (inside < 2) a_moment();  // ends only if both items are under way
    });
  });
  EXPECT_EQ(inside, 2);
}

// What an item holds while it waits would otherwise be held as often as there are items.
TEST(NestedFor, WhoWaitsBeginsNoOtherItemOfTheLoopsAround) {
  std::vector<std::atomic<int>> depth(3);  // by OpenMP's number of the thread
  nested_for(12, 3, [&](int64_t) {
    const auto own = static_cast<size_t>(omp_get_thread_num());
    EXPECT_EQ(++depth[own], 1);
    nested_for(3, 3, [](int64_t) { a_moment(); });
    --depth[own];
  });
}

TEST(NestedFor, ItemsThatHoldMemoryBeginWhileItLasts) {
  const auto most_at_once = [](int64_t bytes) {
    std::atomic<int> now{0}, most{0};
    nested_for(
        9, 6,
        [&](int64_t) {
          const int here = ++now;
          for (int seen = most; seen < here && !most.compare_exchange_weak(seen, here);) continue;
          a_moment();
          --now;
        },
        bytes);
    return most.load();
  };
  EXPECT_EQ(most_at_once(kNestedBytes + 1), 1) << "one always may";
  EXPECT_LE(most_at_once(kNestedBytes / 2), 3);
}

TEST(NestedFor, TheFirstErrorOfAnInnerLoopLeavesTheOutermost) {
  for (const int threads : {1, 3}) {
    std::atomic<int> begun{0};
    try {
      nested_for(50, threads, [&](int64_t) {
        ++begun;
        nested_for(4, threads, [](int64_t j) {
          if (j == 2) throw std::runtime_error("item 2");
        });
      });
      ADD_FAILURE() << "no error left the loop";
    } catch (const std::runtime_error& error) {
      EXPECT_EQ(std::string(error.what()), "item 2");
    }
    EXPECT_LT(begun, 50);
  }
}

TEST(NestedFor, WithinOtherParallelLoopsItIsPlain) {
  std::vector<std::atomic<int>> visits(6);
  parallel_for(2, 2,
               [&](int64_t i, int) { nested_for(3, 2, [&](int64_t j) { ++visits[static_cast<size_t>(i * 3 + j)]; }); });
  for (const auto& count : visits) EXPECT_EQ(count, 1);
  nested_for(2, 2, [&](int64_t i) {
    parallel_for(3, 2, [&](int64_t j, int worker) {
      EXPECT_EQ(worker, 0);
      ++visits[static_cast<size_t>(i * 3 + j)];
    });
  });
  for (const auto& count : visits) EXPECT_EQ(count, 2);
}

}  // namespace
}  // namespace vernier
