#include <algorithm>

#include "base/fail.h"
#include "base/json.h"
#include "base/output_file.h"
#include "vernier/data.h"

namespace vernier {

namespace {

/// As a person would write it: a string without its quotes.
std::string printed(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

/// Exports of tables and classifiers number their groups. Not fractions: 1.0 and 1 would be two groups.
std::string group_of(const Json& json, const std::string& origin) {
  const Json* group = json_find(json, "group");
  if (group == nullptr) fail(ErrorKind::kBadFile, "{}: key \"group\" is missing", origin);
  if (!group->is_string() && !group->is_number_integer() && !group->is_boolean())
    fail(ErrorKind::kBadFile, "{}: key \"group\": expected a string, an integer or a boolean, got {}", origin,
         group->is_number() ? group->dump() : group->type_name());
  return printed(*group);
}

}  // namespace

std::vector<Document> read_documents(const std::filesystem::path& path, const std::string& filter) {
  return parse_documents(read_file(path), path.string(), filter);
}

std::vector<Document> parse_documents(std::string_view bytes, const std::string& file, const std::string& filter) {
  const auto equals = filter.find('=');
  if (!filter.empty() && equals == std::string::npos)
    fail(ErrorKind::kInvalidArgument, "filter \"{}\": expected KEY=VALUE", filter);
  const std::string text = text_from_bytes(bytes, file).text;  // JSON strings hold no bare CR: they stay as they are
  std::vector<Document> documents;
  size_t line = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view row(text.data() + begin, end - begin);
    begin = end + 1;
    ++line;
    if (row.find_first_not_of(" \t") == std::string_view::npos) continue;
    const std::string origin = fmt::format("{}:{}", file, line);
    const Json json = parse_json(row, origin);
    if (!filter.empty()) {
      const Json* value = json_find(json, filter.substr(0, equals).c_str());
      if ((value == nullptr ? "" : printed(*value)) != filter.substr(equals + 1)) continue;
    }
    documents.push_back({json_string(json, "text", origin), group_of(json, origin)});
  }
  if (documents.empty())
    fail(ErrorKind::kInvalidArgument, "{}: no documents{}", file, filter.empty() ? "" : " left by filter " + filter);
  return documents;
}

}  // namespace vernier
