#include <algorithm>
#include <array>

#include "base/fail.h"
#include "data/class_names.h"
#include "data/image_set.h"

namespace vernier {

namespace fs = std::filesystem;

namespace {

template <class Iterator, class Keep>
std::vector<fs::path> sorted_entries(const fs::path& folder, const Keep& keep) {
  std::vector<fs::path> found;
  try {
    for (const fs::directory_entry& entry : Iterator(folder))
      if (keep(entry)) found.push_back(entry.path());
  } catch (const fs::filesystem_error& e) {
    fail(ErrorKind::kIo, "data: {}: {}", folder.string(), e.code().message());
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

bool is_image_file(const fs::path& path) {
  constexpr std::array kEndings{".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"};
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  return std::find(kEndings.begin(), kEndings.end(), ending) != kEndings.end();
}

LabelledImages read_image_folder(const fs::path& folder, const std::vector<std::string>& classes) {
  const auto subfolders = sorted_entries<fs::directory_iterator>(folder, [](const fs::directory_entry& entry) {
    return entry.is_directory() && !entry.path().filename().string().starts_with('.');
  });
  if (subfolders.empty())
    fail(ErrorKind::kBadFile, "data: {}: no subfolders, expected one per class; a list of images is a manifest (.csv)",
         folder.string());
  LabelledImages set;
  set.name = (folder.has_filename() ? folder : folder.parent_path()).filename().string();
  set.attributes = {"class"};
  set.classes = classes;
  if (classes.empty())
    for (const fs::path& subfolder : subfolders) set.classes.push_back(subfolder.filename().string());
  for (const fs::path& subfolder : subfolders) {
    const int32_t label = class_index(subfolder.filename().string(), set.classes, subfolder.string());
    const auto images = sorted_entries<fs::recursive_directory_iterator>(
        subfolder,
        [](const fs::directory_entry& entry) { return entry.is_regular_file() && is_image_file(entry.path()); });
    if (images.empty()) fail(ErrorKind::kBadFile, "data: {}: no images in it", subfolder.string());
    for (const fs::path& image : images)
      set.images.push_back({image, label, {set.classes[static_cast<size_t>(label)]}, 0});
  }
  finish_image_set(set, folder.string());
  return set;
}

}  // namespace vernier
