#include "data/image_set.h"

#include <fstream>
#include <map>

#include "base/fail.h"
#include "base/hash.h"
#include "data/csv.h"

namespace vernier {

namespace {

std::string place_of(const LabelledImage& image, const std::string& origin) {
  return image.line > 0 ? fmt::format("{}:{}", origin, image.line) : origin;
}

void warn_of_copies(LabelledImages& set, const std::string& origin) {
  std::map<std::string, const LabelledImage*> first;  // by content: a copy under another name is a copy
  int64_t copies = 0;
  std::string example;
  for (const LabelledImage& image : set.images) {
    const auto [it, is_new] = first.try_emplace(hash_of_image(image.path), &image);
    if (is_new) continue;
    if (copies++ == 0)
      example = fmt::format(
          "{}: {} is the same image as {}", place_of(image, origin), image.path.string(),
          it->second->line > 0 ? fmt::format("that of line {}", it->second->line) : it->second->path.string());
  }
  if (copies > 0) set.warnings.push_back(fmt::format("data: {}; {} images occur again in all", example, copies));
}

void warn_of_single_examples(LabelledImages& set, const std::string& origin) {
  for (size_t a = 0; a < set.attributes.size(); ++a) {
    std::map<std::string, std::pair<int64_t, const LabelledImage*>> groups;
    for (const LabelledImage& image : set.images)
      if (!image.groups[a].empty()) {
        auto& [count, last] = groups[image.groups[a]];
        ++count;
        last = &image;
      }
    for (const auto& [group, counted] : groups)
      if (counted.first == 1)
        set.warnings.push_back(fmt::format(
            "data: {}: {} = \"{}\" is a group with one example, {}: nothing can be said of it with an interval",
            place_of(*counted.second, origin), set.attributes[a], group, counted.second->path.string()));
  }
}

}  // namespace

std::string hash_of_image(const std::filesystem::path& path) {
  try {
    return hash_file(path);
  } catch (const Error&) {
    return path.string();
  }
}

std::string hash_of_images(const LabelledImages& set) {
  Hasher hasher;
  for (const std::string& name : set.classes) hasher.add(name);
  for (const std::string& name : set.attributes) hasher.add(name);
  for (const LabelledImage& image : set.images) {
    hasher.add(image.path.filename().string());
    hasher.add(hash_of_image(image.path));
    hasher.add(std::to_string(image.label));
    for (const std::string& group : image.groups) hasher.add(group);
  }
  return hasher.hex();
}

void finish_image_set(LabelledImages& set, const std::string& origin) {
  set.hash = hash_of_images(set);
  warn_of_copies(set, origin);
  warn_of_single_examples(set, origin);
}

LabelledImages read_labelled_images(const std::filesystem::path& path, const std::vector<std::string>& classes) {
  return std::filesystem::is_directory(path) ? read_image_folder(path, classes) : read_manifest(path, classes);
}

bool is_image_set(const std::filesystem::path& path) {
  std::error_code code;
  if (std::filesystem::is_directory(path, code)) return true;
  if (!std::filesystem::is_regular_file(path, code)) return false;  // what a pipe gives is gone
  std::string line;
  std::ifstream file(path);
  if (!std::getline(file, line) || line.size() > 1 << 12) return false;
  try {
    const CsvTable table = parse_csv(line, path.string());
    return table.column("path") && table.column("label");
  } catch (const Error&) {
    return false;
  }
}

}  // namespace vernier
