#pragma once

// What every way to read labelled images ends with, and goes through their files with.

#include <filesystem>
#include <string>

#include "base/fail.h"
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

/// What `read` returns of an image of the set; what it throws names the line of the manifest, too.
template <class Read>
auto read_by_line(const LabelledImage& image, const std::string& set, const Read& read) {
  try {
    return read(image.path);
  } catch (const Error& e) {
    if (image.line == 0) throw;
    fail(e.kind(), "data: {}:{}: {}", set, image.line, e.what());
  }
}

}  // namespace vernier
