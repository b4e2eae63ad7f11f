#include "report/who_pays_data.h"

#include "base/fail.h"

namespace vernier {

namespace {

constexpr const char* kFile = "groups.json";
/// The others stay in groups.json: a page with all of them would be megabytes.
constexpr const char* kShown[] = {"loss_nats",        "accuracy", "normalized_accuracy",
                                  "stereotype_share", "kl_nats",  "logit_variance"};

const Json& member(const Json& json, const char* key) {
  const Json* value = json_find(json, key);
  if (value == nullptr) fail(ErrorKind::kBadFile, "report: {}: key \"{}\" is missing; make it again", kFile, key);
  return *value;
}

Json shown_figures(const Json& by_key) {
  Json shown = Json::object();
  for (const char* key : kShown)
    if (const Json* figure = json_find(by_key, key)) shown[key] = *figure;
  return shown;
}

Json group_section(const Json& group) {
  Json out;
  for (const char* key : {"name", "examples", "clusters", "weight"}) out[key] = member(group, key);
  out["figures"] = shown_figures(member(group, "figures"));
  return out;
}

Json entry_section(const Json& entry) {
  const Json& analysis = member(entry, "analysis");
  Json out;
  for (const char* key : {"label", "unit"}) out[key] = member(entry, key);
  out["data"] = member(analysis, "data");
  out["reference"] = member(analysis, "reference");
  for (const char* key : {"confidence", "tolerance", "min_clusters"})
    out[key] = member(member(analysis, "options"), key);
  out["figures"] = Json::array();
  for (const Json& figure : member(analysis, "figures"))
    for (const char* key : kShown)
      if (member(figure, "key") == key) out["figures"].push_back(figure);
  out["all"] = group_section(member(analysis, "all"));
  out["attributes"] = Json::array();
  for (const Json& attribute : member(analysis, "attributes")) {
    Json own{{"name", member(attribute, "name")},
             {"groups", Json::array()},
             {"gaps", shown_figures(member(attribute, "gaps"))}};
    for (const Json& group : member(attribute, "groups")) own["groups"].push_back(group_section(group));
    out["attributes"].push_back(own);
  }
  out["chains"] = member(entry, "chains");
  return out;
}

}  // namespace

Json who_pays_section(const Json& study) {
  Json entries = Json::array();
  for (const Json& entry : member(study, "entries")) entries.push_back(entry_section(entry));
  return {{"entries", entries}};
}

Json who_pays_data(const Json& study) {
  const Json& from = member(study, "provenance");
  const Json& model = member(from, "model");
  Json options = from;
  for (const char* key : {"model", "seed", "curvature"}) options.erase(key);  // curvature: figures, not an option
  return {{"schema_version", 1},
          {"title", "Who pays for quantizing " + json_string(model, "name", kFile)},
          {"provenance",
           {{"tool_version", member(study, "tool_version")},
            {"model", model},
            {"options", options},
            {"seed", json_find(from, "seed") == nullptr ? Json() : from.at("seed")}}},
          {"results", nullptr},
          {"groups", nullptr},
          {"diagnosis", nullptr},
          {"plan", nullptr},
          {"who_pays", who_pays_section(study)}};
}

}  // namespace vernier
