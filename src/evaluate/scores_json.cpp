#include "evaluate/scores_json.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/measured_json.h"
#include "evaluate/tails.h"
#include "vernier/evaluation_file.h"
#include "vernier/metric.h"

namespace vernier {

namespace {

/// Every key that scores may have, in the order in which they are written.
std::vector<std::string_view> score_keys() {
  std::vector<std::string_view> keys;
  for (const auto* table : {&metrics(), &image_metrics()})
    for (const Metric& metric : *table)
      if (std::find(keys.begin(), keys.end(), metric.key) == keys.end()) keys.push_back(metric.key);
  return keys;
}

}  // namespace

Json scores_to_json(const Scores& scores) {
  Json json;
  json["tokens"] = scores.tokens;
  if (scores.documents > 0) {
    json["documents"] = scores.documents;
    json["distinct_documents"] = scores.distinct_documents;
    json["text_bytes"] = scores.bytes;
  }
  for (const std::string_view key : score_keys())
    if (const Measured* value = scores.find(key)) put_measured(json, std::string(key), *value);
  return json;
}

Scores scores_from_json(const Json& json, const std::string& origin) {
  Scores scores;
  scores.tokens = json_int(json, "tokens", origin, 0, kMaxCount);
  if (json_find(json, "documents") != nullptr) {
    scores.documents = json_int(json, "documents", origin, 0, kMaxCount);
    scores.distinct_documents = json_int(json, "distinct_documents", origin, 0, scores.documents);
    scores.bytes = json_int(json, "text_bytes", origin, 0, kMaxCount);
  }
  for (const std::string_view key : score_keys())
    if (const auto value = optional_measured_at(json, std::string(key), origin)) scores.metrics.emplace(key, *value);
  return scores;
}

void put_tails(Json& json, const Tails& tails) {
  for (const TailRow& row : tail_rows()) json[std::string(row.key)] = tails.*row.value;
}

std::optional<Tails> tails_from_json(const Json& json, const std::string& origin) {
  if (json_find(json, tail_rows().front().key.data()) == nullptr) return std::nullopt;
  Tails tails;
  for (const TailRow& row : tail_rows()) tails.*row.value = json_number(json, row.key.data(), origin);
  return tails;
}

}  // namespace vernier
