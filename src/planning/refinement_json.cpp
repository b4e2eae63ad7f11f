#include <algorithm>
#include <string>

#include "base/fail.h"
#include "base/from_file.h"
#include "base/json.h"
#include "base/measured_json.h"
#include "vernier/refine.h"

namespace vernier {

namespace {

MeasuredExchange exchange_from_json(const Json& json, const std::string& origin) {
  MeasuredExchange e;
  const Json& tensors = json_member(json, "tensors", origin);
  if (!tensors.is_array() || tensors.empty() || !std::ranges::all_of(tensors, &Json::is_string))
    fail(ErrorKind::kBadFile, "{}: expected \"tensors\" to be names of matrices", origin);
  for (const Json& name : tensors)
    e.tensors.push_back(from_file(origin, [&] { return parse_tensor(name.get<std::string>()); }));
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
  for (const MeasuredExchange& e : r.exchanges) {
    Json tensors = Json::array();
    for (const TensorId& id : e.tensors) tensors.push_back(name_of(id));
    json["exchanges"].push_back({{"tensors", std::move(tensors)},
                                 {"from", e.from},
                                 {"to", e.to},
                                 {"foretold_kl_nats", e.foretold},
                                 {"measured_kl_nats", e.measured}});
  }
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
