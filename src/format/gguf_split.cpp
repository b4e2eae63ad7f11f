#include "format/gguf_split.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/fail.h"
#include "format/bytes.h"

namespace vernier {

namespace fs = std::filesystem;

namespace {

constexpr int64_t kMaxParts = 65535;  // split.count is a uint16
constexpr std::string_view kNumberedEnding = "-00000-of-00000.gguf";

std::string part_ending(const GgufSplit& split) {
  return fmt::format("-{:05}-of-{:05}.gguf", split.index + 1, split.count);
}

struct PartName {
  std::string stem;
  GgufSplit split;
};

std::optional<PartName> parse_name(const fs::path& path) {
  const std::string name = path.filename().string();
  if (name.size() < kNumberedEnding.size()) return std::nullopt;
  const std::string_view ending = std::string_view(name).substr(name.size() - kNumberedEnding.size());
  PartName result;
  result.stem = name.substr(0, name.size() - kNumberedEnding.size());
  std::from_chars(ending.data() + 1, ending.data() + 6, result.split.index);
  std::from_chars(ending.data() + 10, ending.data() + 15, result.split.count);
  --result.split.index;
  const bool known = result.split.index >= 0 && result.split.index < result.split.count &&
                     result.split.count <= kMaxParts && part_ending(result.split) == ending;
  return known ? std::optional(result) : std::nullopt;
}

fs::path part_path(const fs::path& folder, const PartName& name, int64_t index) {
  return folder / (name.stem + part_ending({index, name.split.count}));
}

std::optional<int64_t> find_int(const GgufPart& part, const char* key, int64_t max) {
  for (const GgufKeyValue& entry : part.values) {
    if (entry.key != key) continue;
    const auto number = std::visit(
        []<class T>(const T& value) -> std::optional<int64_t> {
          if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>)
            if (std::in_range<int64_t>(value)) return static_cast<int64_t>(value);
          return std::nullopt;
        },
        entry.value);
    if (!number || *number < 0 || *number > max)
      fail(ErrorKind::kBadFile, "gguf: {}: key \"{}\": expected an integer in [0, {}], got {}",
           part.mapping->path().string(), key, max, number ? std::to_string(*number) : gguf_type_name(entry.value));
    return number;
  }
  return std::nullopt;
}

}  // namespace

std::vector<fs::path> gguf_part_names(const fs::path& path) {
  std::vector<fs::path> names;
  if (const auto name = parse_name(path))
    for (int64_t i = 0; i < name->split.count; ++i) names.push_back(part_path(path.parent_path(), *name, i));
  return names;
}

GgufSplit read_gguf_split(const GgufPart& part) {
  GgufSplit split;
  split.count = find_int(part, "split.count", kMaxParts).value_or(0);
  if (split.count < 2) return {0, split.count};
  const auto index = find_int(part, "split.no", split.count - 1);
  if (!index)
    fail(ErrorKind::kBadFile, "gguf: {}: key \"split.no\" is missing, though split.count is {}",
         part.mapping->path().string(), split.count);
  split.index = *index;
  return split;
}

std::vector<fs::path> gguf_parts_beside(const fs::path& path, const GgufSplit& split) {
  const auto name = parse_name(path);
  if (!name || name->split != split)
    fail(
        ErrorKind::kBadFile,
        "gguf: {}: this is part {} of {} of a split model (split.no {}, split.count {}), and the other parts are found "
        "by name; expected a name that ends in {}; give every part the name it had",
        path.string(), split.index + 1, split.count, split.index, split.count, part_ending(split));
  const std::vector<fs::path> paths = gguf_part_names(path);
  std::error_code code;
  const auto missing = [&](const fs::path& part) { return !fs::exists(part, code); };
  const auto first = std::find_if(paths.begin(), paths.end(), missing);
  if (first != paths.end())
    fail(ErrorKind::kIo, "gguf: {}: part {} is missing ({} of {} parts are); fetch it into the same folder",
         path.string(), first->filename().string(), std::count_if(first, paths.end(), missing), split.count);
  return paths;
}

void check_gguf_part(const GgufPart& part, const GgufSplit& expected) {
  const GgufSplit split = read_gguf_split(part);
  if (split != expected)
    fail(ErrorKind::kBadFile,
         "gguf: {}: split.no {}, split.count {}, expected {}, {} by its name and the parts beside it; parts of another "
         "model, or renamed: fetch it again",
         part.mapping->path().string(), split.index, split.count, expected.index, expected.count);
}

}  // namespace vernier
