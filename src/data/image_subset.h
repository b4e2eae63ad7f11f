#pragma once

// Some of labelled images, evenly over their classes: a folder lists class after class, and a manifest may list them in
// turns.

#include <cstdint>
#include <utility>
#include <vector>

#include "vernier/labelled_images.h"

namespace vernier {

/// Which of spread_images, by their indices.
std::vector<size_t> spread_indices(const LabelledImages& images, int64_t count);

/// `count` of them in their order, of each class its share, evenly spaced; all where there are no more, or for 0.
LabelledImages spread_images(const LabelledImages& images, int64_t count);

/// Those of spread_images, and all others. @throws Error{kInvalidArgument} where either has none
std::pair<LabelledImages, LabelledImages> split_images(const LabelledImages& images, int64_t count);

}  // namespace vernier
