#include "data/text_kind.h"

#include "base/fail.h"
#include "base/json.h"
#include "base/output_file.h"
#include "vernier/data.h"

namespace vernier {

namespace {

/// The first that holds more than blanks; empty where none does.
std::string_view first_line(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\n");
  return begin == std::string_view::npos ? std::string_view() : text.substr(begin, text.find('\n', begin) - begin);
}

bool looks_like_json(std::string_view line) { return !line.empty() && line.front() == '{' && line.back() == '}'; }

TextKind kind_of_json(std::string_view line, const std::string& origin) {
  const Json json = parse_json(line, origin);
  if (json_find(json, "text") != nullptr) return TextKind::kDocuments;
  if (json_find(json, "endings") != nullptr || json_find(json, "question") != nullptr) return TextKind::kChoices;
  fail(ErrorKind::kBadFile,
       "data: {}: expected \"text\" with a group (documents), \"endings\" (HellaSwag) or \"question\" (ARC)", origin);
}

}  // namespace

bool holds_documents(std::string_view text) {
  const std::string_view line = first_line(text);
  if (!looks_like_json(line)) return false;
  const Json json = Json::parse(line, nullptr, false);
  return json.is_object() && json.contains("text") && json["text"].is_string();
}

TextKind kind_of_text(const std::string& path) {
  if (std::error_code code; std::filesystem::exists(path, code) && !std::filesystem::is_regular_file(path, code))
    fail(ErrorKind::kInvalidArgument, "data: {}: this is read more than once; expected a file, not a pipe or a folder",
         path);
  const std::string text = text_from_bytes(read_file(path), path).text;
  const std::string_view line = first_line(text);
  if (line.empty()) fail(ErrorKind::kBadFile, "data: {}: nothing but blanks", path);
  if (looks_like_json(line)) return kind_of_json(line, path);
  if (line.find("sent_more") != std::string_view::npos && line.find("sent_less") != std::string_view::npos)
    return TextKind::kPairs;
  return TextKind::kRunning;
}

}  // namespace vernier
