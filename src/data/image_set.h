#pragma once

// What every way to read labelled images ends with.

#include "vernier/labelled_images.h"

namespace vernier {

/// Sets the hash, and warns of images that occur twice and of groups with a single one, by file and line.
void finish_image_set(LabelledImages& set, const std::string& origin);

}  // namespace vernier
