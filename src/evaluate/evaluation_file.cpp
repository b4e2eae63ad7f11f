#include "vernier/evaluation_file.h"

#include <algorithm>
#include <cmath>

#include "base/fail.h"
#include "base/from_file.h"
#include "base/json.h"
#include "evaluate/scores_json.h"
#include "vernier/metric.h"
#include "vernier/version.h"

namespace vernier {

namespace {

constexpr const char* kImages = "images";

const char* name_of(Per per) {
  switch (per) {
    case Per::kToken: return "token";
    case Per::kDocument: return "document";
    case Per::kByte: return "byte";
    case Per::kImage: return "image";
  }
  fail(ErrorKind::kInternal, "evaluation: a metric per {}", static_cast<int>(per));
}

const char* name_of(Worse worse) {
  switch (worse) {
    case Worse::kHigher: return "higher";
    case Worse::kLower: return "lower";
    case Worse::kNeither: return "neither";
  }
  fail(ErrorKind::kInternal, "evaluation: a metric that is worse when {}", static_cast<int>(worse));
}

Json metric_json(const Metric& metric) {
  Json columns = Json::array();
  if (metric.column_of_models) columns.push_back("models");
  if (metric.column_of_groups) columns.push_back("groups");
  return {{"key", metric.key},   {"title", metric.title},      {"meaning", metric.meaning},
          {"unit", metric.unit}, {"per", name_of(metric.per)}, {"worse", name_of(metric.worse)},
          {"columns", columns}};
}

bool holds(const EvaluationRow& row, std::string_view key) {
  return row.text.find(key) != nullptr || std::any_of(row.groups.begin(), row.groups.end(), [&](const auto& group) {
           return group.second.find(key) != nullptr;
         });
}

Json facts_json(const DataFacts& facts) {
  return {{"name", facts.name}, {"hash", facts.hash}, {"context", facts.context}, {"windows", facts.windows}};
}

DataFacts facts_at(const Json& json, const std::string& origin) {
  return {json_string(json, "name", origin), json_string(json, "hash", origin),
          json_int(json, "context", origin, 0, kMaxCount), json_int(json, "windows", origin, 0, kMaxCount)};
}

Json row_json(const EvaluationRow& row) {
  Json json;
  json["label"] = row.label;
  json["kind"] = row.kind;
  json["bytes"] = row.bytes;
  json["bits_per_weight"] = row.bits_per_weight;
  if (row.budget_fits) json["budget_fits"] = *row.budget_fits;
  if (!row.method.empty()) json["method"] = row.method;
  if (row.foretold_kl_nats) json["foretold_kl_nats"] = *row.foretold_kl_nats;
  json["text"] = scores_to_json(row.text);
  if (row.tails) put_tails(json["text"], *row.tails);
  json["groups"] = nullptr;
  for (const auto& [name, scores] : row.groups) json["groups"][name] = scores_to_json(scores);
  return json;
}

EvaluationRow row_at(const Json& json, const std::string& origin) {
  EvaluationRow row;
  row.label = json_string(json, "label", origin);
  row.kind = json_string(json, "kind", origin);
  row.bytes = static_cast<uint64_t>(json_int(json, "bytes", origin, 0, kMaxCount));
  row.bits_per_weight = json_number(json, "bits_per_weight", origin);
  if (const Json* fits = json_find(json, "budget_fits")) {
    if (!fits->is_boolean()) fail(ErrorKind::kBadFile, "{}: budget_fits: expected true or false", origin);
    row.budget_fits = fits->get<bool>();
  }
  if (json_find(json, "method") != nullptr) row.method = json_string(json, "method", origin);
  if (json_find(json, "foretold_kl_nats") != nullptr)
    row.foretold_kl_nats = json_number(json, "foretold_kl_nats", origin);
  const Json& text = json_member(json, "text", origin);
  row.text = scores_from_json(text, origin);
  row.tails = tails_from_json(text, origin);
  if (const Json* groups = json_find(json, "groups"))
    for (const auto& [name, scores] : groups->items()) row.groups[name] = scores_from_json(scores, origin);
  return row;
}

}  // namespace

EvaluationFile evaluation_file(const Evaluation& text, const Evaluation* groups) {
  EvaluationFile file;
  file.text = text.data;
  if (groups != nullptr || !text.groups.empty()) file.groups = groups != nullptr ? groups->data : text.data;
  file.activations = text.activations;
  return file;
}

EvaluationRow evaluation_row(EvaluationRow row, const Evaluation& text, const Evaluation* groups) {
  row.text = text.all;
  row.tails = text.tails;
  row.groups = groups != nullptr ? groups->groups : text.groups;
  return row;
}

Scores scores_of_reference(const Scores& compared) {
  const Measured& nll = compared.at("reference_nll_nats");
  Scores scores;
  scores.tokens = compared.tokens;
  scores.metrics["nll_nats"] = nll;
  scores.metrics["perplexity"] = find_metric("perplexity")->finish(nll);
  return scores;
}

Json evaluation_file_to_json(const EvaluationFile& file) {
  Json json = {{"kind", "evaluation"}};
  json["schema_version"] = kEvaluationSchema;
  json["tool_version"] = VERNIER_VERSION;
  json["data"] = {{"text", facts_json(file.text)}, {"groups", file.groups ? facts_json(*file.groups) : Json()}};
  if (file.of_images) json["examples"] = kImages;
  json["activations"] = file.activations.name();
  if (file.budget_bytes) json["budget_bytes"] = *file.budget_bytes;
  json["metrics"] = Json::array();
  for (const Metric& metric : file.of_images ? image_metrics() : metrics())
    if (std::any_of(file.rows.begin(), file.rows.end(), [&](const auto& row) { return holds(row, metric.key); }))
      json["metrics"].push_back(metric_json(metric));
  json["rows"] = Json::array();
  for (const EvaluationRow& row : file.rows) json["rows"].push_back(row_json(row));
  return json;
}

EvaluationFile evaluation_file_from_json(const Json& json, const std::string& origin) {
  if (json_int(json, "schema_version", origin, 1, 1 << 20) != kEvaluationSchema)
    fail(ErrorKind::kBadFile, "{}: evaluation of another schema; evaluate again", origin);
  EvaluationFile file;
  file.of_images = json_find(json, "examples") != nullptr && json_string(json, "examples", origin) == kImages;
  const Json& data = json_member(json, "data", origin);
  file.text = facts_at(json_member(data, "text", origin), origin);
  if (const Json* groups = json_find(data, "groups")) file.groups = facts_at(*groups, origin);
  const std::string activations = json_string(json, "activations", origin);
  file.activations = from_file(origin, [&] { return Activations::parse(activations); });
  if (json_find(json, "budget_bytes") != nullptr)
    file.budget_bytes = static_cast<uint64_t>(json_int(json, "budget_bytes", origin, 0, kMaxCount));
  const Json& rows = json_member(json, "rows", origin);
  if (!rows.is_array()) fail(ErrorKind::kBadFile, "{}: rows: expected an array", origin);
  for (const Json& row : rows) file.rows.push_back(row_at(row, origin));
  return file;
}

}  // namespace vernier
