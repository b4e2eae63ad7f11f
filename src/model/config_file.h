#pragma once

// config.json of a Hugging Face directory with typed look-ups that name the file and the key.

#include <cstdint>
#include <string>

#include "base/json.h"

namespace vernier {

// Far beyond any model; small enough that products of two stay below 2^63.
inline constexpr int64_t kMaxDimension = int64_t{1} << 24;
inline constexpr int64_t kMaxLayers = 4096;
inline constexpr int64_t kMaxContext = int64_t{1} << 40;

/// `fallback` where the key is absent or null. @throws Error{kBadFile} naming file and key for another type
bool flag_or(const Json& json, const char* key, bool fallback, const std::string& origin);
double number_or(const Json& json, const char* key, double fallback, const std::string& origin);
/// The value itself. @throws Error{kBadFile} naming file and key unless it is finite and above 0
double positive(double value, const std::string& key, const std::string& origin);

class ConfigFile {
 public:
  /// `origin` names the file in messages. @throws Error{kBadFile} for what is not an object
  ConfigFile(const Json& json, std::string origin);

  const Json& json() const { return json_; }
  const std::string& origin() const { return origin_; }

  /// nullptr when absent or null.
  const Json* find(const char* key) const { return json_find(json_, key); }
  /// Also where the value is null, which transformers takes for a value of its own.
  bool contains(const char* key) const { return json_.contains(key); }

  // @throws Error{kBadFile} naming file and key
  int64_t dimension(const char* key) const { return integer(key, 1, kMaxDimension); }
  int64_t integer(const char* key, int64_t min, int64_t max) const { return json_int(json_, key, origin_, min, max); }
  int64_t integer_or(const char* key, int64_t fallback, int64_t min, int64_t max) const;
  bool flag(const char* key, bool fallback) const { return flag_or(json_, key, fallback, origin_); }
  double number(const char* key, double fallback) const { return number_or(json_, key, fallback, origin_); }
  double positive_number(const char* key, double fallback) const {
    return positive(number(key, fallback), key, origin_);
  }
  std::string text(const char* key, const char* fallback) const;
  std::string text(const char* key) const { return json_string(json_, key, origin_); }

 private:
  const Json& json_;
  std::string origin_;
};

}  // namespace vernier
