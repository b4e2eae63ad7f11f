#pragma once

// What every way to read labelled images ends with.

#include <string>

#include "vernier/labelled_images.h"

namespace vernier {

/// Sets the hash, and warns of images that occur twice and of groups with a single one, by file and line.
void finish_image_set(LabelledImages& set, const std::string& origin);

/// Of names, labels and groups.
std::string hash_of_images(const LabelledImages& set);

}  // namespace vernier
