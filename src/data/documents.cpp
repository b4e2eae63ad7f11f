#include "base/fail.h"
#include "base/output_file.h"
#include "data/json_lines.h"
#include "vernier/data.h"

namespace vernier {

namespace {

/// As a person would write it: a string without its quotes.
std::string printed(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

/// Other values than names and numbers say nothing: files have such a key for their own ends.
std::string doc_of(const Json& json) {
  const Json* doc = json_find(json, "doc");
  return doc != nullptr && (doc->is_string() || doc->is_number_integer()) ? printed(*doc) : "";
}

}  // namespace

std::vector<Document> read_documents(const std::filesystem::path& path, const std::string& filter,
                                     const std::string& group_key) {
  return parse_documents(read_file(path), path.string(), filter, group_key);
}

std::vector<Document> parse_documents(std::string_view bytes, const std::string& file, const std::string& filter,
                                      const std::string& group_key) {
  const auto equals = filter.find('=');
  if (!filter.empty() && equals == std::string::npos)
    fail(ErrorKind::kInvalidArgument, "filter \"{}\": expected KEY=VALUE", filter);
  std::vector<Document> documents;
  for_each_json_line(bytes, file, [&](const Json& json, const std::string& origin, int64_t) {
    if (!filter.empty()) {
      const Json* value = json_find(json, filter.substr(0, equals).c_str());
      if ((value == nullptr ? "" : printed(*value)) != filter.substr(equals + 1)) return;
    }
    documents.push_back(
        {json_string(json, "text", origin), group_value(json, group_key.c_str(), origin), doc_of(json)});
  });
  if (documents.empty())
    fail(ErrorKind::kInvalidArgument, "{}: no documents{}", file, filter.empty() ? "" : " left by filter " + filter);
  return documents;
}

}  // namespace vernier
