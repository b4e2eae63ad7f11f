#include "finetune/packed_windows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "base/counter_random.h"

namespace vernier {
namespace {

TEST(PackedWindows, EachPieceGoesIntoTheFullestWindowThatHasRoomForIt) {
  const std::vector<size_t> lengths = {3, 10, 4, 7, 6};
  // 10 | 7 | 6 4 | and 3 to the 7, which it fills
  const std::vector<std::vector<size_t>> expected = {{0, 3}, {1}, {2, 4}};
  EXPECT_EQ(packed_windows(lengths, 10), expected);
}

TEST(PackedWindows, HoldEveryPieceOnceAndLeaveLittleOver) {
  std::vector<size_t> lengths(2000), seen;
  for (size_t i = 0; i < lengths.size(); ++i) lengths[i] = 2 + random_bits(1, i) % 511;
  const std::vector<std::vector<size_t>> windows = packed_windows(lengths, 512);
  for (const std::vector<size_t>& window : windows) {
    size_t sum = 0;
    for (const size_t piece : window) sum += lengths[piece];
    EXPECT_LE(sum, 512U);
    seen.insert(seen.end(), window.begin(), window.end());
  }
  std::ranges::sort(seen);
  std::vector<size_t> all(lengths.size());
  std::iota(all.begin(), all.end(), size_t{0});
  EXPECT_EQ(seen, all);
  const size_t tokens = std::accumulate(lengths.begin(), lengths.end(), size_t{0});
  EXPECT_GT(static_cast<double>(tokens), 0.95 * 512 * static_cast<double>(windows.size()));
}

TEST(PackedWindows, NothingIsNothing) { EXPECT_TRUE(packed_windows({}, 8).empty()); }

}  // namespace
}  // namespace vernier
