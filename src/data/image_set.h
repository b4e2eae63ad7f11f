#pragma once

// What every way to read labelled images ends with.

#include <filesystem>
#include <string>

#include "vernier/labelled_images.h"

namespace vernier {

/// By its ending, in any case.
bool is_image_file(const std::filesystem::path& path);

/// Sets the hash, and warns of images that occur twice and of groups with a single one, by file and line.
void finish_image_set(LabelledImages& set, const std::string& origin);

/// Of its bytes; of an image that cannot be read its path: whoever decodes it says why.
std::string hash_of_image(const std::filesystem::path& path);

/// Of names, labels, groups and the files' bytes. @cost reads all of them
std::string hash_of_images(const LabelledImages& set);

}  // namespace vernier
