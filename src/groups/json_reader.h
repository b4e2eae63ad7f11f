#pragma once

// Artefacts of groups as JSON: a value that knows where it stands, for messages such as "groups.json.all.figures".

#include <limits>
#include <string>

#include "base/fail.h"
#include "base/json.h"
#include "vernier/interval.h"

namespace vernier {

/// Null where an end is none.
inline Json interval_json(const ConfidenceInterval& interval) {
  return Json::array({finite_or_null(interval.low), finite_or_null(interval.high)});
}

/// A JSON value and where it stands, for messages.
class JsonReader {
 public:
  JsonReader(const Json& json, std::string origin) : json_(json), origin_(std::move(origin)) {}

  JsonReader at(const char* key) const {
    const Json* value = json_find(json_, key);
    if (value == nullptr) fail(ErrorKind::kBadFile, "{}: key \"{}\" is missing", origin_, key);
    return {*value, origin_ + "." + key};
  }
  const std::string& origin() const { return origin_; }
  const Json& json() const { return json_; }
  std::string text(const char* key) const { return json_string(json_, key, origin_); }
  double number(const char* key) const { return number_or_nan(json_, key, origin_); }
  int64_t count(const char* key) const {
    return json_int(json_, key, origin_, 0, std::numeric_limits<int64_t>::max() / 2);
  }
  template <class Visit>
  void each(const Visit& visit) const {
    if (!json_.is_array()) fail(ErrorKind::kBadFile, "{}: expected an array, got {}", origin_, json_.type_name());
    for (size_t i = 0; i < json_.size(); ++i) visit(JsonReader(json_[i], fmt::format("{}[{}]", origin_, i)));
  }
  template <class Visit>
  void each_key(const Visit& visit) const {
    if (!json_.is_object()) fail(ErrorKind::kBadFile, "{}: expected an object, got {}", origin_, json_.type_name());
    for (const auto& [key, value] : json_.items()) visit(key, JsonReader(value, origin_ + "." + key));
  }
  /// A null end is none.
  ConfidenceInterval interval() const {
    const auto end = [&](size_t i, double none) {
      if (json_[i].is_null()) return none;
      if (!json_[i].is_number()) fail(ErrorKind::kBadFile, "{}: expected numbers or null", origin_);
      return json_[i].get<double>();
    };
    if (!json_.is_array() || json_.size() != 2) fail(ErrorKind::kBadFile, "{}: expected two numbers", origin_);
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    return {end(0, -kInfinity), end(1, kInfinity)};
  }
  double value() const {
    if (!json_.is_number()) fail(ErrorKind::kBadFile, "{}: expected a number, got {}", origin_, json_.type_name());
    return json_.get<double>();
  }
  std::string string() const {
    if (!json_.is_string()) fail(ErrorKind::kBadFile, "{}: expected a string, got {}", origin_, json_.type_name());
    return json_.get<std::string>();
  }

 private:
  const Json& json_;
  std::string origin_;
};

}  // namespace vernier
