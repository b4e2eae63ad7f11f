#include "diagnose/checkpoint.h"

#include "base/json.h"
#include "vernier/error.h"

namespace vernier {

std::optional<Json> SweepCheckpoint::load(const std::string& part) const {
  if (folder_.empty() || !std::filesystem::exists(folder_ / (part + ".json"))) return std::nullopt;
  try {
    Json json = read_json(folder_ / (part + ".json"));
    if (json_string(json, "key", part) != key_) return std::nullopt;
    return json["content"];
  } catch (const Error&) {
    return std::nullopt;
  }
}

void SweepCheckpoint::save(const std::string& part, const Json& content) const {
  if (folder_.empty()) return;
  write_json(folder_ / (part + ".json"), Json{{"key", key_}, {"content", content}});
}

}  // namespace vernier
