#include "model/config_file.h"

#include <cmath>

#include "base/fail.h"

namespace vernier {

bool flag_or(const Json& json, const char* key, bool fallback, const std::string& origin) {
  const Json* value = json_find(json, key);
  if (value == nullptr) return fallback;
  if (!value->is_boolean())
    fail(ErrorKind::kBadFile, "{}: key \"{}\": expected true or false, got {}", origin, key, value->dump());
  return value->get<bool>();
}

double number_or(const Json& json, const char* key, double fallback, const std::string& origin) {
  return json_find(json, key) == nullptr ? fallback : json_number(json, key, origin);
}

double positive(double value, const std::string& key, const std::string& origin) {
  if (!(value > 0) || !std::isfinite(value))
    fail(ErrorKind::kBadFile, "{}: key \"{}\": expected a positive number, got {}", origin, key, value);
  return value;
}

ConfigFile::ConfigFile(const Json& json, std::string origin) : json_(json), origin_(std::move(origin)) {
  if (!json.is_object())
    fail(ErrorKind::kBadFile, "{}: expected a JSON object, got {}; fetch the model's own config.json", origin_,
         json.type_name());
}

int64_t ConfigFile::integer_or(const char* key, int64_t fallback, int64_t min, int64_t max) const {
  return find(key) == nullptr ? fallback : integer(key, min, max);
}

std::string ConfigFile::text(const char* key, const char* fallback) const {
  return find(key) == nullptr ? fallback : text(key);
}

}  // namespace vernier
