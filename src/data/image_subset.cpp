#include "data/image_subset.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/fail.h"
#include "data/image_set.h"

namespace vernier {

namespace {

/// Whether each image is among `count` that are spread.
std::vector<bool> spread(const LabelledImages& images, int64_t count) {
  const auto all = static_cast<int64_t>(images.images.size());
  std::vector<bool> taken(images.images.size(), count <= 0 || count >= all);
  if (count <= 0 || count >= all) return taken;
  std::vector<size_t> by_class(images.images.size());
  std::iota(by_class.begin(), by_class.end(), size_t{0});
  std::stable_sort(by_class.begin(), by_class.end(),
                   [&](size_t a, size_t b) { return images.images[a].label < images.images[b].label; });
  for (int64_t i = 0; i < count; ++i) taken[by_class[static_cast<size_t>((2 * i + 1) * all / (2 * count))]] = true;
  return taken;
}

LabelledImages those(const LabelledImages& images, const std::vector<bool>& taken, bool wanted) {
  LabelledImages some;
  some.name = images.name;
  some.classes = images.classes;
  some.attributes = images.attributes;
  for (size_t i = 0; i < taken.size(); ++i)
    if (taken[i] == wanted) some.images.push_back(images.images[i]);
  some.hash = hash_of_images(some);
  return some;
}

}  // namespace

std::vector<size_t> spread_indices(const LabelledImages& images, int64_t count) {
  const std::vector<bool> taken = spread(images, count);
  std::vector<size_t> indices;
  for (size_t i = 0; i < taken.size(); ++i)
    if (taken[i]) indices.push_back(i);
  return indices;
}

LabelledImages spread_images(const LabelledImages& images, int64_t count) {
  const std::vector<bool> taken = spread(images, count);
  if (std::find(taken.begin(), taken.end(), false) == taken.end()) return images;
  return those(images, taken, true);
}

std::pair<LabelledImages, LabelledImages> split_images(const LabelledImages& images, int64_t count) {
  const auto all = static_cast<int64_t>(images.images.size());
  if (count < 1 || count >= all)
    fail(ErrorKind::kInvalidArgument, "data: {}: {} images to hold back of {}; expected at least one on either side",
         images.name, count, all);
  const std::vector<bool> taken = spread(images, count);
  return {those(images, taken, true), those(images, taken, false)};
}

}  // namespace vernier
