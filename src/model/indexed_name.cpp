#include "model/indexed_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace vernier {

namespace {
constexpr std::string_view kImagePrefix = "image.", kTextPrefix = "text.";
}  // namespace

std::optional<int> parse_index(std::string_view text) {
  const bool digits = std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (text.empty() || text.size() > 9 || !digits || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  int value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::optional<IndexedName> split_name(std::string_view name) {
  IndexedName result;
  for (const auto& [prefix, stack] : {std::pair(kImagePrefix, Stack::kImage), std::pair(kTextPrefix, Stack::kText)})
    if (name.starts_with(prefix)) {
      result.stack = stack;
      name.remove_prefix(prefix.size());
      break;
    }
  const auto take = [&](std::string_view prefix, int& index) {  // false: the prefix is there and no index follows
    if (!name.starts_with(prefix) || name.size() == prefix.size()) return true;
    const std::string_view field = name.substr(0, name.find('.'));
    const auto value = parse_index(field.substr(prefix.size()));
    if (!value) return false;
    index = *value;
    name.remove_prefix(std::min(name.size(), field.size() + 1));
    return true;
  };
  if (name.ends_with('.') || !take("L", result.layer)) return std::nullopt;
  if (result.layer >= 0 && !take("expert", result.expert)) return std::nullopt;
  result.part = name;
  return result;
}

std::string join_name(Stack stack, int layer, int expert, std::string_view part) {
  const std::string_view prefix = stack == Stack::kImage ? kImagePrefix : stack == Stack::kText ? kTextPrefix : "";
  std::string name = layer < 0 ? "" : fmt::format("L{}", layer);
  if (expert >= 0) name += fmt::format(".expert{}", expert);
  if (!name.empty() && !part.empty()) name += '.';
  return name.append(part).insert(0, prefix);
}

}  // namespace vernier
