#include "base/fail.h"
#include "base/json.h"
#include "base/measured_json.h"
#include "vernier/refine.h"

namespace vernier {

namespace {

MeasuredExchange exchange_from_json(const Json& json, const std::string& origin) {
  MeasuredExchange e;
  try {
    e.tensor = parse_tensor(json_string(json, "tensor", origin));
  } catch (const Error& error) {
    fail(ErrorKind::kBadFile, "{}: {}", origin, error.what());
  }
  e.from = json_string(json, "from", origin);
  e.to = json_string(json, "to", origin);
  e.foretold = json_number(json, "foretold_kl_nats", origin);
  e.measured = json_number(json, "measured_kl_nats", origin);
  return e;
}

}  // namespace

nlohmann::ordered_json refinement_to_json(const Refinement& r) {
  Json json = {{"kind", "refinement"}, {"kept", r.kept}, {"factor", r.factor}, {"changed", r.changed}};
  put_measured(json, "before_kl_nats", r.before);
  put_measured(json, "after_kl_nats", r.after);
  json["exchanges"] = Json::array();
  for (const MeasuredExchange& e : r.exchanges)
    json["exchanges"].push_back({{"tensor", name_of(e.tensor)},
                                 {"from", e.from},
                                 {"to", e.to},
                                 {"foretold_kl_nats", e.foretold},
                                 {"measured_kl_nats", e.measured}});
  json["damage"] = damage_table_to_json(r.table);
  return json;
}

Refinement refinement_from_json(const nlohmann::ordered_json& json, const std::string& origin) {
  Refinement r;
  const Json& kept = json_member(json, "kept", origin);
  const Json& exchanges = json_member(json, "exchanges", origin);
  if (!kept.is_boolean() || !exchanges.is_array())
    fail(ErrorKind::kBadFile, "{}: expected \"kept\" to be true or false and \"exchanges\" an array", origin);
  r.kept = kept.get<bool>();
  r.factor = json_number(json, "factor", origin);
  r.changed = json_int(json, "changed", origin, 0, int64_t{1} << 40);
  r.before = measured_at(json, "before_kl_nats", origin);
  r.after = measured_at(json, "after_kl_nats", origin);
  for (const Json& each : exchanges) r.exchanges.push_back(exchange_from_json(each, origin));
  r.table = damage_table_from_json(json_member(json, "damage", origin), origin);
  return r;
}

}  // namespace vernier
