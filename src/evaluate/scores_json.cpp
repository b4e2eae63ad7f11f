#include "evaluate/scores_json.h"

#include "base/measured_json.h"
#include "evaluate/tails.h"
#include "vernier/evaluation_file.h"
#include "vernier/metric.h"

namespace vernier {

namespace {}

Json scores_to_json(const Scores& scores) {
  Json json;
  json["tokens"] = scores.tokens;
  if (scores.documents > 0) {
    json["documents"] = scores.documents;
    json["distinct_documents"] = scores.distinct_documents;
    json["text_bytes"] = scores.bytes;
  }
  for (const Metric& metric : metrics())
    if (const Measured* value = scores.find(metric.key)) put_measured(json, std::string(metric.key), *value);
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
  for (const Metric& metric : metrics())
    if (const auto value = optional_measured_at(json, std::string(metric.key), origin))
      scores.metrics.emplace(metric.key, *value);
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
