#include "diagnose/diagnosis_json.h"

#include <cmath>

#include "base/fail.h"
#include "base/from_file.h"
#include "base/measured_json.h"
#include "diagnose/group_profiles.h"
#include "vernier/version.h"

namespace vernier {

namespace {

ComponentKind kind_at(const Json& json, const std::string& origin) {
  return from_file(origin, [&] { return parse_kind(json_string(json, "kind", origin)); });
}

}  // namespace

Component component_at(const Json& json, const std::string& origin) {
  return from_file(origin, [&] { return parse_component(json_string(json, "name", origin)); });
}

const Json& array_at(const Json& json, const char* key, const std::string& origin) {
  const Json* array = json_find(json, key);
  if (array == nullptr || !array->is_array()) fail(ErrorKind::kBadFile, "{}: \"{}\": expected an array", origin, key);
  return *array;
}

Json damage_to_json(const ComponentDamage& damage) {
  const Component& c = damage.component;
  Json json;
  json["name"] = name_of(c);
  json["kind"] = kind_name(c.kind);
  json["layer"] = c.layer;
  json["index"] = c.index;
  json["tensor"] = c.kind == ComponentKind::kTensor ? Json(role_name(c.role)) : Json();
  put_measured(json, "kl_nats", damage.kl);
  put_measured(json, "delta_nll_nats", damage.delta_nll);
  put_measured(json, "same_top_share", damage.same_top);
  json["parameters"] = damage.parameters;
  if (damage.foretold) json["foretold"] = true;
  if (!damage.groups.empty()) json["groups"] = groups_of_damage_to_json(damage.groups);
  return json;
}

ComponentDamage damage_from_json(const Json& json, const std::string& origin) {
  ComponentDamage damage;
  damage.component = component_at(json, origin);
  damage.kl = measured_at(json, "kl_nats", origin);
  damage.foretold = json_find(json, "foretold") != nullptr;
  const auto measured = [&](const char* key) {
    return damage.foretold ? Measured{NAN, NAN} : measured_at(json, key, origin);
  };
  damage.delta_nll = measured("delta_nll_nats");
  damage.same_top = measured("same_top_share");
  damage.parameters = json_int(json, "parameters", origin, 0, kMaxCount);
  if (const Json* groups = json_find(json, "groups"))
    damage.groups = groups_of_damage_from_json(*groups, origin + ": " + name_of(damage.component));
  return damage;
}

Json facts_to_json(const WeightFacts& facts) {
  Json json;
  json["tensor"] = name_of(facts.tensor);
  json["name"] = gguf_name(facts.tensor);
  json["layer"] = facts.tensor.layer;
  json["role"] = role_name(facts.tensor.role);
  json["absmax_over_sigma"] = facts.absmax_over_sigma;
  json["excess_kurtosis"] = facts.excess_kurtosis;
  json["sqnr_db"] = finite_or_null(facts.sqnr_db);
  json["weighted_sqnr_db"] = finite_or_null(facts.weighted_sqnr_db);
  json["rows"] = facts.rows;
  json["cols"] = facts.cols;
  json["scheme"] = facts.scheme;
  json["error_power"] = facts.error_power;
  return json;
}

WeightFacts facts_from_json(const Json& json, const std::string& origin) {
  WeightFacts facts;
  facts.tensor = from_file(origin, [&] { return parse_tensor(json_string(json, "tensor", origin)); });
  facts.absmax_over_sigma = json_number(json, "absmax_over_sigma", origin);
  facts.excess_kurtosis = json_number(json, "excess_kurtosis", origin);
  const auto decibel = [&](const char* key) {  // null is "stored exactly"
    return json_find(json, key) == nullptr ? INFINITY : json_number(json, key, origin);
  };
  facts.sqnr_db = decibel("sqnr_db");
  facts.weighted_sqnr_db = decibel("weighted_sqnr_db");
  facts.rows = json_int(json, "rows", origin, 1, kMaxCount);
  facts.cols = json_int(json, "cols", origin, 1, kMaxCount);
  facts.scheme = json_string(json, "scheme", origin);
  if (const Json* powers = json_find(json, "error_power"))
    for (const auto& [scheme, power] : powers->items())
      facts.error_power[scheme] = json_number(*powers, scheme.c_str(), origin);
  return facts;
}

Json diagnosis_to_json(const Diagnosis& d) {
  Json json = {{"kind", "diagnosis"}};
  json["schema_version"] = d.schema_version;
  json["tool_version"] = VERNIER_VERSION;
  json["model_hash"] = d.model_hash;
  json["calibration_hash"] = d.calibration_hash;
  json["data"] = d.data_name;
  json["data_hash"] = d.data_hash;
  json["scheme"] = d.scheme;
  json["windows"] = d.windows;
  json["tokens"] = d.tokens;
  if (d.unit != Diagnosis().unit) json["unit"] = d.unit;
  json["fallbacks"] = d.fallbacks;
  json["control_kl_nats"] = d.control_kl;
  json["noise_floor_kl_nats"] = finite_or_null(d.noise_floor_kl);
  json["components"] = Json::array();
  for (const ComponentDamage& damage : d.components) json["components"].push_back(damage_to_json(damage));
  for (const DiagnosedGroup& g : d.groups)
    json["groups"].push_back({{"name", g.name}, {"windows", g.windows}, {"tokens", g.tokens}});
  if (d.group_profiles) json["group_profiles"] = profiles_to_json(*d.group_profiles);
  json["differential_bias"] = Json::array();
  for (const DifferentialBias& bias : d.differential_bias)
    json["differential_bias"].push_back({{"kind", kind_name(bias.kind)},
                                         {"count", bias.count},
                                         {"min", bias.min},
                                         {"max", bias.max},
                                         {"range", bias.range},
                                         {"mean", bias.mean},
                                         {"standard_deviation", bias.standard_deviation},
                                         {"coefficient_of_variation", bias.coefficient_of_variation}});
  if (d.joint_kl) {
    Json joint;
    put_measured(joint, "kl_nats", *d.joint_kl);
    joint["sum_isolated_kl_nats"] = d.sum_isolated_kl;
    joint["additivity_ratio"] = d.additivity_ratio;
    json["joint"] = joint;
  }
  json["weight_facts"] = Json::array();
  for (const WeightFacts& facts : d.weight_facts) {
    Json row = facts_to_json(facts);
    const ComponentDamage* damage = d.find(component_of(facts.tensor));
    row["kl_nats"] = damage != nullptr ? Json(damage->kl.mean) : Json();
    json["weight_facts"].push_back(row);
  }
  json["rank_correlation"] = Json::array();
  for (const RankCorrelation& r : d.rank_correlation)
    json["rank_correlation"].push_back({{"fact", r.fact}, {"spearman", r.spearman}, {"count", r.count}});
  return json;
}

Diagnosis diagnosis_from_json(const Json& json, const std::string& origin) {
  Diagnosis d;
  if (json_int(json, "schema_version", origin, 1, 1 << 20) != d.schema_version)
    fail(ErrorKind::kBadFile, "{}: diagnosis of another schema; diagnose again", origin);
  d.model_hash = json_string(json, "model_hash", origin);
  d.calibration_hash = json_string(json, "calibration_hash", origin);
  d.data_name = json_string(json, "data", origin);
  d.data_hash = json_string(json, "data_hash", origin);
  d.scheme = json_string(json, "scheme", origin);
  d.windows = json_int(json, "windows", origin, 0, kMaxCount);
  d.tokens = json_int(json, "tokens", origin, 0, kMaxCount);
  if (json_find(json, "unit") != nullptr) d.unit = json_string(json, "unit", origin);
  for (const Json& line : array_at(json, "fallbacks", origin))
    d.fallbacks.push_back(line.is_string() ? line.get<std::string>() : line.dump());
  d.control_kl = json_number(json, "control_kl_nats", origin);
  d.noise_floor_kl = number_or_nan(json, "noise_floor_kl_nats", origin);
  for (const Json& row : array_at(json, "components", origin)) d.components.push_back(damage_from_json(row, origin));
  if (json_find(json, "groups") != nullptr)
    for (const Json& row : array_at(json, "groups", origin))
      d.groups.push_back({json_string(row, "name", origin), json_int(row, "windows", origin, 0, kMaxCount),
                          json_int(row, "tokens", origin, 0, kMaxCount)});
  if (const Json* profiles = json_find(json, "group_profiles"))
    d.group_profiles = profiles_from_json(*profiles, origin + ": group_profiles");
  for (const Json& row : array_at(json, "differential_bias", origin)) {
    const auto number = [&](const char* key) { return json_number(row, key, origin); };
    d.differential_bias.push_back({kind_at(row, origin), json_int(row, "count", origin, 0, kMaxCount), number("min"),
                                   number("max"), number("range"), number("mean"), number("standard_deviation"),
                                   number("coefficient_of_variation")});
  }
  if (const Json* joint = json_find(json, "joint")) {
    d.joint_kl = measured_at(*joint, "kl_nats", origin);
    d.sum_isolated_kl = json_number(*joint, "sum_isolated_kl_nats", origin);
    d.additivity_ratio = json_number(*joint, "additivity_ratio", origin);
  }
  for (const Json& row : array_at(json, "weight_facts", origin)) d.weight_facts.push_back(facts_from_json(row, origin));
  for (const Json& row : array_at(json, "rank_correlation", origin))
    d.rank_correlation.push_back({json_string(row, "fact", origin), json_number(row, "spearman", origin),
                                  json_int(row, "count", origin, 0, kMaxCount)});
  return d;
}

}  // namespace vernier
