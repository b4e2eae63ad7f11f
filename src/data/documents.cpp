#include "base/fail.h"
#include "base/output_file.h"
#include "data/json_lines.h"
#include "vernier/data.h"

namespace vernier {

namespace {

/// As a person would write it: a string without its quotes.
std::string printed(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

}  // namespace

std::vector<Document> read_documents(const std::filesystem::path& path, const std::string& filter) {
  return parse_documents(read_file(path), path.string(), filter);
}

std::vector<Document> parse_documents(std::string_view bytes, const std::string& file, const std::string& filter) {
  const auto equals = filter.find('=');
  if (!filter.empty() && equals == std::string::npos)
    fail(ErrorKind::kInvalidArgument, "filter \"{}\": expected KEY=VALUE", filter);
  std::vector<Document> documents;
  for_each_json_line(bytes, file, [&](const Json& json, const std::string& origin, int64_t) {
    if (!filter.empty()) {
      const Json* value = json_find(json, filter.substr(0, equals).c_str());
      if ((value == nullptr ? "" : printed(*value)) != filter.substr(equals + 1)) return;
    }
    documents.push_back({json_string(json, "text", origin), group_value(json, "group", origin)});
  });
  if (documents.empty())
    fail(ErrorKind::kInvalidArgument, "{}: no documents{}", file, filter.empty() ? "" : " left by filter " + filter);
  return documents;
}

}  // namespace vernier
