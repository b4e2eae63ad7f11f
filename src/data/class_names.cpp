#include "data/class_names.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "base/fail.h"

namespace vernier {

namespace {

std::optional<int64_t> integer(const std::string& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string listed(const std::vector<std::string>& classes) {
  constexpr size_t kNamed = 12;
  std::string text;
  for (size_t i = 0; i < std::min(classes.size(), kNamed); ++i) text += (i == 0 ? "" : ", ") + classes[i];
  return classes.size() > kNamed ? text + ", ..." : text;
}

}  // namespace

std::vector<std::string> classes_of(const std::vector<std::string>& labels, const std::string& origin) {
  constexpr int64_t kMost = 1'000'000;
  int64_t greatest = -1;
  bool numbers = !labels.empty();
  for (const std::string& label : labels) {
    const auto value = integer(label);
    numbers &= value && *value >= 0;
    if (value) greatest = std::max(greatest, *value);
  }
  if (!numbers) {
    const std::set<std::string> names(labels.begin(), labels.end());
    return {names.begin(), names.end()};
  }
  if (greatest >= kMost)
    fail(ErrorKind::kBadFile, "data: {}: a label is class {}, expected less than {}", origin, greatest, kMost);
  std::vector<std::string> classes;
  for (int64_t i = 0; i <= greatest; ++i) classes.push_back(std::to_string(i));
  return classes;
}

int32_t class_index(const std::string& label, const std::vector<std::string>& classes, const std::string& origin) {
  if (const auto found = std::find(classes.begin(), classes.end(), label); found != classes.end())
    return static_cast<int32_t>(found - classes.begin());
  const auto index = integer(label);
  if (!index)
    fail(ErrorKind::kBadFile, "data: {}: label \"{}\" is none of the {} classes: {}{}", origin, label, classes.size(),
         listed(classes),
         classes.size() == 1 && classes[0].find(',') != std::string::npos
             ? "; that is one class: --classes takes names with blanks between them"
             : "");
  if (*index < 0 || *index >= static_cast<int64_t>(classes.size()))
    fail(ErrorKind::kBadFile, "data: {}: label {} is out of range, expected 0 to {} or a name: {}", origin, *index,
         static_cast<int64_t>(classes.size()) - 1, listed(classes));
  return static_cast<int32_t>(*index);
}

}  // namespace vernier
