#pragma once

// Images with what they show and which groups they belong to: from a manifest, or from a folder with a subfolder for
// each class. The images themselves are not opened here.
//
//   const LabelledImages test = read_manifest("cifar10/test.csv", class_names);
//   const LabelledImages folder = read_image_folder("cifar10/test");
//   print(test.classes[test.images[0].label], test.attributes[0], test.images[0].groups[0]);

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace vernier {

struct LabelledImage {
  std::filesystem::path path;
  int32_t label = 0;                ///< index into LabelledImages::classes
  std::vector<std::string> groups;  ///< one per attribute; "" where it belongs to no group of that attribute
  int64_t line = 0;                 ///< of the manifest, from 1; 0 without one
};

struct LabelledImages {
  std::string name;
  std::string hash;                     ///< of names, labels and groups, not of the pixels
  std::vector<std::string> classes;     ///< names by index
  std::vector<std::string> attributes;  ///< names of the group columns
  std::vector<LabelledImage> images;
  std::vector<std::string> warnings;  ///< what the user should hear: groups of one example, images listed twice
};

/// A CSV file (RFC 4180, UTF-8) whose first line names its columns: `path` relative to the file's folder, `label`, and an
/// attribute for every further one that has a name. A label is a class by its name, or by its index where no class has
/// that name. With empty `classes` they are the names that occur, sorted, or, where all are integers, 0 to the greatest.
/// @throws Error{kIo}; Error{kBadFile} by line for an image that is not there, a label that is none of `classes`, a
///         column that is missing or named twice, and what is no CSV
LabelledImages read_manifest(const std::filesystem::path& path, const std::vector<std::string>& classes = {});
/// The same from text; `origin` names it in messages, paths are relative to `folder`.
LabelledImages parse_manifest(std::string_view text, const std::string& origin, const std::filesystem::path& folder,
                              const std::vector<std::string>& classes = {});

/// A subfolder per class, sorted, with images at any depth, as torchvision's ImageFolder takes it: files that end in .jpg,
/// .jpeg, .png, .ppm, .bmp, .pgm, .tif, .tiff or .webp. Its only attribute is "class". With `classes`, every subfolder is
/// one of them.
/// @throws Error{kIo}; Error{kBadFile} for no subfolder, one without images, one that is no class
LabelledImages read_image_folder(const std::filesystem::path& folder, const std::vector<std::string>& classes = {});

/// A folder by read_image_folder, a file by read_manifest.
LabelledImages read_labelled_images(const std::filesystem::path& path, const std::vector<std::string>& classes = {});

/// Whether a path is one or the other rather than text: a folder, or a file whose first line names the columns path and
/// label.
bool is_image_set(const std::filesystem::path& path);

}  // namespace vernier
