#include "base/measured_json.h"

namespace vernier {

namespace {
std::string error_key(const std::string& key) { return key + "_stderr"; }
}  // namespace

void put_measured(Json& json, const std::string& key, const Measured& value) {
  json[key] = finite_or_null(value.mean);
  json[error_key(key)] = finite_or_null(value.standard_error);
}

Measured measured_at(const Json& json, const std::string& key, const std::string& origin) {
  return {json_number(json, key.c_str(), origin), number_or_nan(json, error_key(key).c_str(), origin)};
}

std::optional<Measured> optional_measured_at(const Json& json, const std::string& key, const std::string& origin) {
  if (json_find(json, key.c_str()) == nullptr) return std::nullopt;
  return measured_at(json, key, origin);
}

}  // namespace vernier
