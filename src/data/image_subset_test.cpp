#include "data/image_subset.h"

#include <gtest/gtest.h>

#include <map>

#include "support/expect_error.h"

namespace vernier {
namespace {

/// Classes in turns, or one after the other.
LabelledImages made_up_images(int count, bool in_turns) {
  LabelledImages set;
  set.name = "made up";
  set.hash = "whole";
  set.classes = {"a", "b", "c", "d", "e"};
  for (int i = 0; i < count; ++i)
    set.images.push_back({"image" + std::to_string(i), in_turns ? i % 5 : i * 5 / count, {}, i + 2});
  return set;
}

std::map<int32_t, int> by_class(const LabelledImages& images) {
  std::map<int32_t, int> counts;
  for (const LabelledImage& image : images.images) ++counts[image.label];
  return counts;
}

TEST(ImageSubset, TakesOfEveryClassItsShareInWhateverOrderTheyAreListed) {
  for (const bool in_turns : {false, true}) {
    const LabelledImages all = made_up_images(100, in_turns), some = spread_images(all, 20);
    EXPECT_EQ(by_class(some), (std::map<int32_t, int>{{0, 4}, {1, 4}, {2, 4}, {3, 4}, {4, 4}}));
    EXPECT_NE(some.hash, all.hash);
    for (size_t i = 1; i < some.images.size(); ++i) EXPECT_LT(some.images[i - 1].line, some.images[i].line);
  }
  const LabelledImages all = made_up_images(100, true);
  EXPECT_EQ(spread_images(all, 0).hash, all.hash) << "all";
  EXPECT_EQ(spread_images(all, 1000).images.size(), 100u);
}

TEST(ImageSubset, ASplitLosesNothingAndSharesNothing) {
  const LabelledImages all = made_up_images(53, true);
  const auto [held_back, rest] = split_images(all, 10);
  EXPECT_EQ(held_back.images.size(), 10u);
  EXPECT_EQ(rest.images.size(), 43u);
  std::map<std::filesystem::path, int> seen;
  for (const LabelledImages* part : {&held_back, &rest})
    for (const LabelledImage& image : part->images) ++seen[image.path];
  EXPECT_EQ(seen.size(), 53u);
  for (const int64_t count : {0, 53})
    expect_error(ErrorKind::kInvalidArgument, {"made up", "hold back"}, [&] { split_images(all, count); });
}

}  // namespace
}  // namespace vernier
