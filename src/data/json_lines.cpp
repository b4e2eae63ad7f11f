#include "data/json_lines.h"

#include <algorithm>

#include "base/fail.h"
#include "vernier/data.h"

namespace vernier {

void for_each_json_line(std::string_view bytes, const std::string& file,
                        const std::function<void(const Json&, const std::string& origin, int64_t line)>& visit) {
  const std::string text = text_from_bytes(bytes, file).text;  // JSON strings hold no bare CR: they stay as they are
  int64_t line = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view row(text.data() + begin, end - begin);
    if (row.starts_with("\xEF\xBB\xBF")) row.remove_prefix(3);  // in the middle of files that were joined
    begin = end + 1;
    ++line;
    const size_t first = row.find_first_not_of(" \t");
    if (first == std::string_view::npos) continue;
    const std::string origin = fmt::format("{}:{}", file, line);
    if (row[first] != '{' && row[first] != '[')
      fail(ErrorKind::kBadFile,
           "{}: expected JSON lines, an object such as {{\"text\": ..., \"group\": ...}} on each; this is text",
           origin);
    visit(parse_json(row, origin), origin, line);
  }
}

std::string group_value(const Json& json, const char* key, const std::string& origin) {
  const Json* group = json_find(json, key);
  if (group == nullptr) fail(ErrorKind::kBadFile, "{}: key \"{}\" is missing", origin, key);
  if (!group->is_string() && !group->is_number_integer() && !group->is_boolean())
    fail(ErrorKind::kBadFile, "{}: key \"{}\": expected a string, an integer or a boolean, got {}", origin, key,
         group->is_number() ? group->dump() : group->type_name());
  return group->is_string() ? group->get<std::string>() : group->dump();
}

}  // namespace vernier
