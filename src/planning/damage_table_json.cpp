#include <algorithm>
#include <cmath>

#include "base/fail.h"
#include "base/from_file.h"
#include "base/json.h"
#include "vernier/damage_table.h"
#include "vernier/scheme.h"
#include "vernier/value_search.h"
#include "vernier/version.h"

namespace vernier {

namespace {

constexpr int64_t kDamageTableVersion = 1;

using MatrixDamages = std::map<TensorId, std::map<std::string, double>>;

Json matrices_to_json(const MatrixDamages& damages) {
  Json json = Json::array();
  for (const auto& [id, kl] : damages) json.push_back({{"tensor", name_of(id)}, {"kl_nats", kl}});
  return json;
}

MatrixDamages matrices_from_json(const Json& matrices, const std::string& origin) {
  if (!matrices.is_array()) fail(ErrorKind::kBadFile, "{}: expected an array of matrices", origin);
  MatrixDamages damages;
  for (const Json& row : matrices) {
    const TensorId id = from_file(origin, [&] { return parse_tensor(json_string(row, "tensor", origin)); });
    const std::string where = origin + " (" + name_of(id) + ")";
    const Json& kl = json_member(row, "kl_nats", where);
    if (!kl.is_object() || damages.contains(id))
      fail(ErrorKind::kBadFile, "{}: expected one object of schemes and nats", where);
    for (const auto& [scheme, unused] : kl.items()) {
      from_file(where, [&] { return Scheme::parse(scheme); });
      const double value = json_number(kl, scheme.c_str(), where);
      if (!(value >= 0) || !std::isfinite(value))
        fail(ErrorKind::kBadFile, "{}: {}: expected finite nats >= 0, got {}", where, scheme, value);
      damages[id][scheme] = value;
    }
  }
  return damages;
}

std::map<TensorId, double> left_from_json(const Json& matrices, const std::string& origin) {
  std::map<TensorId, double> lefts;
  for (const Json& row : matrices) {
    if (json_find(row, "left") == nullptr) continue;
    const double left = json_number(row, "left", origin);
    if (!(left >= 0) || !std::isfinite(left))
      fail(ErrorKind::kBadFile, "{}: expected a finite share >= 0 to be left, got {}", origin, left);
    lefts[parse_tensor(json_string(row, "tensor", origin))] = left;
  }
  return lefts;
}

bool same_keys(const MatrixDamages& a, const MatrixDamages& b) {
  const auto same_schemes = [](const auto& x, const auto& y) {
    return std::ranges::equal(
        x, y, {}, [](const auto& p) { return p.first; }, [](const auto& p) { return p.first; });
  };
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [&](const auto& x, const auto& y) {
           return x.first == y.first && same_schemes(x.second, y.second);
         });
}

}  // namespace

nlohmann::ordered_json damage_table_to_json(const DamageTable& table) {
  Json json = {{"kind", "damage"},
               {"schema_version", kDamageTableVersion},
               {"tool_version", VERNIER_VERSION},
               {"model_hash", table.model_hash},
               {"provenance", table.provenance},
               {"matrices", matrices_to_json(table.kl)}};
  if (!table.method.empty()) json["method"] = table.method;
  for (Json& row : json["matrices"])
    if (const auto left = table.left.find(parse_tensor(json_string(row, "tensor", ""))); left != table.left.end())
      row["left"] = left->second;
  for (const GroupDamageTable& group : table.groups)
    json["groups"].push_back(
        {{"group", group.name}, {"tokens", group.tokens}, {"matrices", matrices_to_json(group.kl)}});
  return json;
}

DamageTable damage_table_from_json(const nlohmann::ordered_json& json, const std::string& origin) {
  if (json_string(json, "kind", origin) != "damage")
    fail(ErrorKind::kBadFile, "{}: expected a table of damage; `vernier run` writes damage.json", origin);
  if (const int64_t schema = json_int(json, "schema_version", origin, 0, 1 << 20); schema != kDamageTableVersion)
    fail(ErrorKind::kBadFile, "{}: schema_version {}, expected {}; make it again", origin, schema, kDamageTableVersion);
  DamageTable table;
  table.model_hash = json_string(json, "model_hash", origin);
  table.provenance = json_member(json, "provenance", origin);
  if (json_find(json, "method") != nullptr) {
    table.method = json_string(json, "method", origin);
    from_file(origin, [&] { return find_value_search(table.method); });
  }
  if (!table.provenance.is_object()) fail(ErrorKind::kBadFile, "{}: expected an object of provenance", origin);
  table.kl = matrices_from_json(json_member(json, "matrices", origin), origin);
  table.left = left_from_json(json_member(json, "matrices", origin), origin);
  const Json* groups = json_find(json, "groups");
  if (groups == nullptr) return table;
  if (!groups->is_array()) fail(ErrorKind::kBadFile, "{}: \"groups\": expected an array", origin);
  for (const Json& row : *groups) {
    GroupDamageTable group{json_string(row, "group", origin), json_int(row, "tokens", origin, 0, kMaxCount), {}};
    const std::string where = origin + ": group " + group.name;
    group.kl = matrices_from_json(json_member(row, "matrices", where), where);
    if (!same_keys(table.kl, group.kl))
      fail(ErrorKind::kBadFile, "{}: expected the matrices and schemes that stand outside of groups", where);
    table.groups.push_back(std::move(group));
  }
  return table;
}

}  // namespace vernier
