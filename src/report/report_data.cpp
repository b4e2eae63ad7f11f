#include "report/report_data.h"

#include <algorithm>
#include <map>
#include <string>

#include "base/fail.h"
#include "report/activations_data.h"
#include "report/finetune_data.h"
#include "report/who_pays_data.h"

namespace vernier {

namespace {

const Json& need(const Json& json, const char* key, const char* origin) {
  const Json* value = json_find(json, key);
  if (value == nullptr) fail(ErrorKind::kBadFile, "report: {}: key \"{}\" is missing; run again", origin, key);
  return *value;
}

Json value_or_null(const Json& json, const char* key) {
  const Json* value = json_find(json, key);
  return value == nullptr ? Json() : *value;
}

/// A metric's value and its standard error, or null.
void copy_metric(const Json& metric, const Json& scores, Json& row) {
  const std::string key = json_string(metric, "key", "evaluation.json"), error = key + "_stderr";
  row[key] = value_or_null(scores, key.c_str());
  row[error] = value_or_null(scores, error.c_str());
}

/// The descriptions of the metrics that are columns of a table of `what`.
Json columns_of(const Json& evaluation, const std::string& what) {
  Json columns = Json::array();
  for (const Json& metric : need(evaluation, "metrics", "evaluation.json")) {
    const Json& tables = need(metric, "columns", "evaluation.json");
    if (std::find(tables.begin(), tables.end(), what) == tables.end()) continue;
    Json column;
    for (const char* key : {"key", "title", "meaning", "unit", "per", "worse"})
      column[key] = json_string(metric, key, "evaluation.json");
    columns.push_back(column);
  }
  return columns;
}

Json result_row(const Json& row, const Json& columns) {
  const Json& text = need(row, "text", "evaluation.json");
  Json out;
  for (const char* key : {"label", "kind", "bytes", "bits_per_weight", "budget_fits", "method"})
    out[key] = value_or_null(row, key);
  for (const Json& metric : columns) copy_metric(metric, text, out);
  return out;
}

/// Groups of the plan and of the best file beside it: more would hide those two.
Json group_rows(const Json& rows, const Json& columns) {
  const auto kl = [](const Json& row) {
    return json_number(need(row, "text", "evaluation.json"), "kl_nats", "evaluation.json");
  };
  const Json* best = nullptr;
  for (const Json& row : rows)
    if ((value_or_null(row, "kind") == "uniform" || value_or_null(row, "kind") == "preset") &&
        json_find(row, "groups") != nullptr && (best == nullptr || kl(row) < kl(*best)))
      best = &row;
  Json out = Json::array();
  for (const Json& row : rows) {
    const Json* groups = json_find(row, "groups");
    if (groups == nullptr || (&row != best && value_or_null(row, "kind") != "plan")) continue;
    for (const auto& [name, scores] : groups->items()) {
      Json line;
      line["plan"] = need(row, "label", "evaluation.json");
      line["group"] = name;
      line["documents"] = value_or_null(scores, "documents");
      line["tokens"] = value_or_null(scores, "tokens");
      line["bytes"] = value_or_null(scores, "text_bytes");
      for (const Json& metric : columns) copy_metric(metric, scores, line);
      out.push_back(line);
    }
  }
  return out;
}

/// By matrix, what the search of values leaves of rounding's damage, which the solved plan weighs.
std::map<std::string, Json> left_by_search(const Json& damage) {
  std::map<std::string, Json> lefts;
  if (!damage.is_object()) return lefts;
  for (const Json& row : need(damage, "matrices", "damage.json"))
    if (const Json* left = json_find(row, "left")) lefts[json_string(row, "tensor", "damage.json")] = *left;
  return lefts;
}

/// The plan that model.gguf follows: the solved one, or a uniform one that measured better and has no bound.
Json plan_section(const Json& plan, const Json& rows, const Json& options, const Json& damage) {
  Json out;
  const Json& budget = need(plan, "budget", "plan.json");
  out["label"] = need(plan, "label", "plan.json");
  out["target"] = value_or_null(plan, "target");
  out["budget_text"] = value_or_null(options, "budget");
  out["budget_bytes"] = value_or_null(budget, "bytes");
  out["file_bytes"] = nullptr;
  out["predicted_kl_nats"] = value_or_null(plan, "predicted_kl_nats");
  out["lower_bound_kl_nats"] = out["gap"] = nullptr;
  bool solved = false;
  for (const Json& row : rows) {
    if (value_or_null(row, "label") != out["label"]) continue;
    out["file_bytes"] = value_or_null(row, "bytes");
    if (value_or_null(row, "kind") != "plan") continue;
    solved = true;
    const double predicted = json_number(plan, "predicted_kl_nats", "plan.json");
    const double bound = json_number(plan, "lower_bound_kl_nats", "plan.json");
    out["lower_bound_kl_nats"] = bound;
    out["gap"] = predicted > 0 ? (predicted - bound) / predicted : 0;
  }
  if (const Json* objective = json_find(plan, "objective")) out["objective"] = *objective;
  out["entries"] = Json::array();
  const std::map<std::string, Json> lefts = solved ? left_by_search(damage) : std::map<std::string, Json>();
  if (!lefts.empty()) out["method"] = value_or_null(damage, "method");
  for (const Json& tensor : need(plan, "tensors", "plan.json")) {
    Json entry;
    for (const char* key : {"tensor", "layer", "role", "rows", "cols", "scheme", "bytes"})
      entry[key] = value_or_null(tensor, key);
    entry["bits_per_weight"] = 8 * json_number(tensor, "bytes", "plan.json") /
                               (json_number(tensor, "rows", "plan.json") * json_number(tensor, "cols", "plan.json"));
    entry["predicted_kl_nats"] = value_or_null(tensor, "kl_nats");
    entry["reason"] = value_or_null(tensor, "reason");
    if (const auto left = lefts.find(json_string(tensor, "tensor", "plan.json")); left != lefts.end())
      entry["left"] = left->second;
    out["entries"].push_back(entry);
  }
  return out;
}

}  // namespace

namespace {

/// What stages beside the chain leave in a run's folder, and where each says of which model it is.
struct BesidePart {
  const char* file;
  Json ReportParts::*part;
  const char* hash;            ///< JSON pointer
  const char* name = nullptr;  ///< of files that may be of the run's own model.gguf, whose hash a run does not know
};
constexpr BesidePart kBeside[] = {
    {"reliability.json", &ReportParts::reliability, "/model/hash"},
    {"groups.json", &ReportParts::groups, "/provenance/model/hash"},
    {"finetune.json", &ReportParts::finetune, "/model_hash"},
    {"activations.json", &ReportParts::activations, "/model/hash", "/model/name"},
    {"protection.json", &ReportParts::protection, "/model_hash"},
};

/// Only where both are known.
bool differs(const Json& part, const char* pointer, const Json& expected) {
  const Json::json_pointer place(pointer);
  return part.contains(place) && part.at(place).is_string() && expected.is_string() && part.at(place) != expected;
}

bool is_of_another(const Json& part, const BesidePart& row, const Json& manifest) {
  const Json model = value_or_null(manifest, "model");
  return differs(part, row.hash, value_or_null(model, "hash")) &&
         (row.name == nullptr ||
          (differs(part, row.name, value_or_null(model, "name")) && differs(part, row.name, Json("model.gguf"))));
}

}  // namespace

ReportParts report_parts(const Json& manifest, const std::filesystem::path& folder) {
  const auto part = [&](const char* name) { return read_json(folder / name); };
  const auto optional_part = [&](const char* name) {
    return std::filesystem::exists(folder / name) ? part(name) : Json();
  };
  // A run by another effort may have left its own: only that of the last one says what the plan rests on.
  const Json options = value_or_null(manifest, "options"), effort = value_or_null(options, "effort");
  ReportParts parts{.manifest = manifest,
                    .evaluation = part("evaluation.json"),
                    .diagnosis = part("diagnosis.json"),
                    .plan = part("plan.json"),
                    .front = optional_part("front.json"),
                    .damage = optional_part("damage.json")};
  if (effort == "confirm") parts.confirmation = optional_part("work/confirmation.json");
  if (value_or_null(options, "limit") == true) parts.limit = optional_part("limit.json");
  if (value_or_null(options, "second_round") == true) parts.refinement = optional_part("work/refinement.json");
  for (const BesidePart& row : kBeside) {
    Json beside = optional_part(row.file);
    if (is_of_another(beside, row, manifest))
      parts.left_out.push_back(row.file);
    else
      parts.*row.part = std::move(beside);
  }
  return parts;
}

Json report_data(const ReportParts& parts) {
  const auto& [manifest, evaluation, diagnosis, plan, front, confirmation, limit, damage, reliability, who_pays, tuned,
               activations, protection, refinement, left_out] = parts;
  Json data;
  data["schema_version"] = 1;
  data["title"] = need(need(manifest, "model", "manifest.json"), "name", "manifest.json");
  Json provenance;
  for (const char* key : {"tool_version", "libtorch", "model", "calibration", "evaluation", "groups",
                          "shared_token_runs", "options", "seed", "artefacts"})
    provenance[key] = value_or_null(manifest, key);
  data["provenance"] = provenance;
  const Json columns = columns_of(evaluation, "models"), group_columns = columns_of(evaluation, "groups");
  Json results = {
      {"metrics", columns}, {"rows", Json::array()}, {"budget_bytes", value_or_null(evaluation, "budget_bytes")}};
  const Json& rows = need(evaluation, "rows", "evaluation.json");
  for (const Json& row : rows) results["rows"].push_back(result_row(row, columns));
  data["results"] = results;
  const Json groups = group_rows(rows, group_columns);
  data["groups"] = groups.empty() ? Json() : Json{{"metrics", group_columns}, {"rows", groups}};
  Json section;
  for (const char* key : {"scheme", "fallbacks", "tokens", "windows", "noise_floor_kl_nats", "control_kl_nats",
                          "components", "differential_bias", "joint", "weight_facts", "rank_correlation"})
    section[key] = value_or_null(diagnosis, key);
  for (const char* key : {"unit", "groups", "group_profiles"})
    if (const Json* value = json_find(diagnosis, key)) section[key] = *value;
  // What the planner keeps beside the facts is not for the page.
  if (section["weight_facts"].is_array())
    for (Json& row : section["weight_facts"])
      if (row.is_object())
        for (const char* key : {"rows", "cols", "scheme", "error_power"}) row.erase(key);
  data["diagnosis"] = section;
  data["plan"] = plan_section(plan, rows, value_or_null(manifest, "options"), damage);
  data["front"] = value_or_null(front, "points");
  data["confirmation"] = confirmation;
  if (confirmation.is_object()) data["confirmation"].erase("damage");  // what the planner keeps
  if (refinement.is_object()) {
    data["refinement"] = refinement;
    data["refinement"].erase("damage");
  }
  data["limit"] = limit;
  if (limit.is_object()) data["limit"].erase("schema_version");
  data["reliability"] = reliability;
  data["protection"] = protection;
  data["who_pays"] = who_pays.is_object() ? who_pays_section(who_pays) : Json();
  data["finetune"] = tuned.is_object() ? finetune_section(tuned) : Json();
  data["activations"] = activations.is_object() ? activations_section(activations) : Json();
  if (!left_out.empty()) data["left_out"] = left_out;
  return data;
}

Json report_data_of_reliability(const Json& reliability) {
  const char* origin = "reliability.json";
  const Json& models = need(reliability, "models", origin);
  if (!models.is_array() || models.empty())
    fail(ErrorKind::kBadFile, "report: {}: key \"models\": expected names; measure again", origin);
  // Before files said of which model they are, only that it is the first.
  const Json* model = json_find(reliability, "model");
  const Json name = model == nullptr ? models.front() : value_or_null(*model, "name");
  const Json hash = model == nullptr ? Json("") : value_or_null(*model, "hash");
  Json data;
  data["schema_version"] = 1;
  data["title"] = "Reliability: " + json_string(need(reliability, "data", origin), "name", origin);
  // The page's header: all that is not known is null.
  data["provenance"] = {{"tool_version", value_or_null(reliability, "tool_version")},
                        {"libtorch", ""},
                        {"model", {{"name", name}, {"hash", hash}, {"family", ""}}},
                        {"options", value_or_null(reliability, "options")},
                        {"artefacts", Json::object()}};
  for (const char* key : {"calibration", "evaluation", "shared_token_runs", "seed"}) data["provenance"][key] = nullptr;
  for (const char* key : {"results", "groups", "diagnosis", "plan"}) data[key] = nullptr;
  data["reliability"] = reliability;
  return data;
}

}  // namespace vernier
