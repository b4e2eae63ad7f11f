#include "base/json.h"

#include <array>
#include <cmath>
#include <limits>

#include "base/fail.h"
#include "base/output_file.h"
#include "base/utf8.h"

template class nlohmann::basic_json<nlohmann::ordered_map>;

namespace vernier {

namespace {

/// What a file from outside may not do to a parser: take the stack, since values are destroyed recursively, or time by
/// the square of an object's keys. A pass over the text: nlohmann's parser with a callback goes through all that a value
/// holds whenever a part of it ends. What is not JSON is left to the parser.
void check_shape(std::string_view text, const std::string& origin, uint64_t max_look_ups) {
  constexpr size_t kMaxDepth = 64;
  std::array<size_t, kMaxDepth + 1> keys{};
  size_t depth = 0;
  uint64_t look_ups = 0;  // of an ordered object: every key that comes is compared with those before it
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      quoted = c != '"';
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxDepth) fail(ErrorKind::kBadFile, "{}: JSON nested deeper than {} levels", origin, kMaxDepth);
      keys[depth] = 0;
    } else if (c == ']' || c == '}') {
      if (depth > 0) --depth;
    } else if (c == ':') {
      look_ups += keys[depth]++;
      if (look_ups > max_look_ups)
        fail(ErrorKind::kBadFile, "{}: JSON objects of too many keys ({} in one), expected fewer", origin, keys[depth]);
    }
  }
}

template <class AnyJson>
AnyJson parse_guarded(std::string_view text, const std::string& origin, uint64_t max_look_ups) {
  text = without_byte_order_mark(text, origin);
  if (text.starts_with("GGUF")) fail(ErrorKind::kBadFile, "{}: a GGUF file, expected JSON", origin);
  check_shape(text, origin, max_look_ups);
  try {
    return AnyJson::parse(text.begin(), text.end());
  } catch (const nlohmann::json::exception& e) {
    fail(ErrorKind::kBadFile, "{}: not valid JSON ({}); perhaps an incomplete download", origin, e.what());
  }
}

}  // namespace

Json parse_json(std::string_view text, const std::string& origin) {
  constexpr uint64_t kSecondsOfLookUps = 1'800'000'000;  // 60,000 keys in one object
  return parse_guarded<Json>(text, origin, kSecondsOfLookUps);
}

SortedJson parse_sorted_json(std::string_view text, const std::string& origin) {
  return parse_guarded<SortedJson>(text, origin, std::numeric_limits<uint64_t>::max());
}

Json read_json(const std::filesystem::path& path) { return parse_json(read_file(path), path.string()); }

std::string json_text(const Json& value) { return value.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

void write_json(const std::filesystem::path& path, const Json& value) { write_file(path, json_text(value)); }

std::vector<double> json_numbers(const Json& object, const char* key, size_t count, const std::string& origin) {
  const Json& numbers = json_member(object, key, origin);
  if (!numbers.is_array() || numbers.size() != count ||
      !std::all_of(numbers.begin(), numbers.end(), [](const Json& n) { return n.is_number(); }))
    fail(ErrorKind::kBadFile, "{}: expected \"{}\" to be {} numbers", origin, key, count);
  return numbers.get<std::vector<double>>();
}

const Json* json_find(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(key);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

const Json& json_member(const Json& object, const char* key, const std::string& origin) {
  const Json* value = json_find(object, key);
  if (value == nullptr) fail(ErrorKind::kBadFile, "{}: key \"{}\" is missing", origin, key);
  return *value;
}

int64_t json_int(const Json& object, const char* key, const std::string& origin, int64_t min, int64_t max) {
  const Json& value = json_member(object, key, origin);
  if (!value.is_number())
    fail(ErrorKind::kBadFile, "{}: key \"{}\": expected an integer, got {}", origin, key, value.type_name());
  // Compared as double first: a float or an unsigned beyond int64 must not wrap.
  const double number = value.get<double>();
  if (!(number >= static_cast<double>(min) && number <= static_cast<double>(max)) || number != std::floor(number))
    fail(ErrorKind::kBadFile, "{}: key \"{}\": expected an integer in [{}, {}], got {}", origin, key, min, max,
         value.dump());
  return value.get<int64_t>();
}

double json_number(const Json& object, const char* key, const std::string& origin) {
  const Json& value = json_member(object, key, origin);
  if (!value.is_number())
    fail(ErrorKind::kBadFile, "{}: key \"{}\": expected a number, got {}", origin, key, value.type_name());
  return value.get<double>();
}

std::string json_string(const Json& object, const char* key, const std::string& origin) {
  const Json& value = json_member(object, key, origin);
  if (!value.is_string())
    fail(ErrorKind::kBadFile, "{}: key \"{}\": expected a string, got {}", origin, key, value.type_name());
  return value.get<std::string>();
}

Json finite_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(); }

double number_or_nan(const Json& json, const char* key, const std::string& origin) {
  return json_find(json, key) == nullptr ? std::numeric_limits<double>::quiet_NaN() : json_number(json, key, origin);
}

}  // namespace vernier
