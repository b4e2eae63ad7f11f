#include "base/fail.h"
#include "base/json.h"
#include "groups/json_reader.h"
#include "vernier/groups.h"
#include "vernier/version.h"

namespace vernier {

namespace {

constexpr int64_t kGroupsVersion = 1;
constexpr Verdict kVerdicts[] = {Verdict::kWithin, Verdict::kExceeds, Verdict::kUndecided};

Json judged_json(const Judged& judged) {
  return {{"value", finite_or_null(judged.value)},
          {"interval", interval_json(judged.interval)},
          {"verdict", name_of(judged.verdict)}};
}

Json group_json(const GroupResult& group) {
  Json json = {{"name", group.name},
               {"examples", group.examples},
               {"clusters", group.clusters},
               {"weight", group.weight},
               {"figures", Json::object()}};
  for (const auto& [key, value] : group.figures)
    json["figures"][key] = {{"reference", finite_or_null(value.reference)},
                            {"model", finite_or_null(value.model)},
                            {"change", judged_json(value.change)},
                            {"skew", judged_json(value.skew)},
                            {"null", interval_json(value.null)},
                            {"null_p", value.null_p}};
  return json;
}

Json attribute_json(const AttributeResult& attribute) {
  Json json = {
      {"name", attribute.name}, {"groups", Json::array()}, {"gaps", Json::object()}, {"parity", Json::object()}};
  for (const GroupResult& group : attribute.groups) json["groups"].push_back(group_json(group));
  for (const auto& [key, gap] : attribute.gaps)
    json["gaps"][key] = {{"reference", finite_or_null(gap.reference)},
                         {"model", finite_or_null(gap.model)},
                         {"spread", judged_json(gap.spread)},
                         {"null_95", finite_or_null(gap.null_95)},
                         {"null_p", gap.null_p},
                         {"most_damaged", gap.most_damaged},
                         {"worst", gap.worst}};
  for (const auto& [key, gap] : attribute.parity)
    json["parity"][key] = {{"reference", finite_or_null(gap.reference)},
                           {"model", finite_or_null(gap.model)},
                           {"change", judged_json(gap.change)},
                           {"null_p", gap.null_p}};
  return json;
}

Json options_json(const GroupOptions& options) {
  return {{"confidence", options.confidence},     {"bootstrap_draws", options.bootstrap_draws},
          {"null_draws", options.null_draws},     {"seed", options.seed},
          {"min_clusters", options.min_clusters}, {"intersections", options.intersections},
          {"tolerance", Json(options.tolerance)}};
}

Judged read_judged(const JsonReader& json) {
  const std::string verdict = json.text("verdict");
  for (const Verdict known : kVerdicts)
    if (name_of(known) == verdict) return {json.number("value"), json.at("interval").interval(), known};
  fail(ErrorKind::kBadFile, "{}: verdict \"{}\": expected within, exceeds or undecided", json.origin(), verdict);
}

GroupResult read_group(const JsonReader& json) {
  GroupResult group{json.text("name"), json.count("examples"), json.count("clusters"), json.number("weight"), {}};
  json.at("figures").each_key([&](const std::string& key, const JsonReader& figure) {
    group.figures[key] = {figure.number("reference"),       figure.number("model"),
                          read_judged(figure.at("change")), read_judged(figure.at("skew")),
                          figure.at("null").interval(),     figure.number("null_p")};
  });
  return group;
}

AttributeResult read_attribute(const JsonReader& json) {
  AttributeResult attribute{json.text("name"), {}, {}, {}};
  json.at("groups").each([&](const JsonReader& group) { attribute.groups.push_back(read_group(group)); });
  json.at("gaps").each_key([&](const std::string& key, const JsonReader& gap) {
    attribute.gaps[key] = {gap.number("reference"), gap.number("model"),  read_judged(gap.at("spread")),
                           gap.number("null_95"),   gap.number("null_p"), gap.text("most_damaged"),
                           gap.text("worst")};
  });
  json.at("parity").each_key([&](const std::string& key, const JsonReader& gap) {
    attribute.parity[key] = {gap.number("reference"), gap.number("model"), read_judged(gap.at("change")),
                             gap.number("null_p")};
  });
  return attribute;
}

GroupOptions read_options(const JsonReader& json) {
  GroupOptions options;
  options.confidence = json.number("confidence");
  options.bootstrap_draws = static_cast<int>(json.count("bootstrap_draws"));
  options.null_draws = static_cast<int>(json.count("null_draws"));
  options.seed = static_cast<uint64_t>(json.count("seed"));
  options.min_clusters = json.count("min_clusters");
  options.intersections = static_cast<int>(json.count("intersections"));
  json.at("tolerance").each_key([&](const std::string& key, const JsonReader& value) {
    options.tolerance[key] = value.value();
  });
  return options;
}

}  // namespace

std::string_view name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kWithin: return "within";
    case Verdict::kExceeds: return "exceeds";
    case Verdict::kUndecided: break;
  }
  return "undecided";
}

nlohmann::ordered_json group_analysis_to_json(const GroupAnalysis& analysis) {
  Json json = {{"kind", "groups"},
               {"schema_version", kGroupsVersion},
               {"tool_version", VERNIER_VERSION},
               {"data", {{"name", analysis.data_name}, {"hash", analysis.data_hash}, {"examples", analysis.examples}}},
               {"reference", analysis.reference},
               {"model", analysis.model},
               {"options", options_json(analysis.options)},
               {"figures", Json::array()},
               {"all", group_json(analysis.all)},
               {"attributes", Json::array()},
               {"warnings", analysis.warnings}};
  for (const GroupFigure& figure : group_figures())
    if (analysis.all.figures.contains(figure.key))
      json["figures"].push_back({{"key", figure.key},
                                 {"name", figure.name},
                                 {"meaning", figure.meaning},
                                 {"unit", figure.unit},
                                 {"worse", figure.worse == Worse::kHigher  ? "higher"
                                           : figure.worse == Worse::kLower ? "lower"
                                                                           : "neither"}});
  for (const AttributeResult& attribute : analysis.attributes) json["attributes"].push_back(attribute_json(attribute));
  return json;
}

GroupAnalysis group_analysis_from_json(const nlohmann::ordered_json& json, const std::string& origin) {
  const JsonReader root(json, origin);
  if (root.text("kind") != "groups") fail(ErrorKind::kBadFile, "{}: expected figures of groups (groups.json)", origin);
  if (const int64_t schema = root.count("schema_version"); schema != kGroupsVersion)
    fail(ErrorKind::kBadFile, "{}: schema_version {}, expected {}; make it again", origin, schema, kGroupsVersion);
  const JsonReader data = root.at("data");
  GroupAnalysis analysis{data.text("name"),
                         data.text("hash"),
                         root.text("reference"),
                         root.text("model"),
                         data.count("examples"),
                         read_options(root.at("options")),
                         read_group(root.at("all")),
                         {},
                         {}};
  root.at("attributes").each([&](const JsonReader& attribute) {
    analysis.attributes.push_back(read_attribute(attribute));
  });
  root.at("warnings").each([&](const JsonReader& warning) { analysis.warnings.push_back(warning.string()); });
  return analysis;
}

}  // namespace vernier
